"""The way into an MLflow store, and the database of the runs folder.

MLflow makes the tables of a new database one by one. One whose process died meanwhile could never
be opened again ("table already exists"), so it gets its name when it is whole.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from factorlab.errors import UserError
from factorlab.files import sync

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the next pass tries again anyway
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Defaults for MLflow; what the user's environment says comes first."""


def uri_of(runs: Path) -> str:
    """Return the address of the database of a runs folder."""
    return f"sqlite:///{_own(runs)}"


def own(uri: str, runs: Path) -> Path | None:
    """Return the database of a runs folder if that is the store, else None."""
    return _own(runs) if uri == uri_of(runs) else None


def _own(runs: Path) -> Path:
    return runs.resolve() / "mlflow.db"


def connect(uri: str) -> MlflowClient:
    """Return a client of a store, with MLflow's own messages silenced."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    for name in ("mlflow", "alembic", "sqlalchemy.engine", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri)


def prepare(database: Path) -> None:
    """Make a SQLite database for MLflow, in WAL mode; an existing one stays.

    Whatever process dies at whatever moment, there is a whole database or none.

    Raises:
        UserError: the file is something else, or another program holds it.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f".{database.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            _make(database)
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # stays with the file
    except sqlite3.Error as error:
        raise UserError(f"{database}: it does not open: {error}") from None


def _make(database: Path) -> None:
    temporary = database.with_name(f".{database.name}.tmp")
    _delete(temporary)  # of a process that was killed
    try:
        connect(f"sqlite:///{temporary}").search_experiments()
        sync(temporary)
        temporary.replace(database)
    finally:
        _delete(temporary)  # on a full disk records need the room
    sync(database.parent)


def _delete(database: Path) -> None:
    """Delete a database with its companions."""
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink(missing_ok=True)
