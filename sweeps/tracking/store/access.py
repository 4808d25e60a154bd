"""The way into an MLflow store, and the database of the runs folder.

MLflow makes the tables of a new database one by one. One whose process died meanwhile could never
be opened again ("table already exists"), so it is created under a temporary name and renamed once
complete.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factorlab.errors import UserError
from factorlab.storage import lease
from factorlab.storage.files import sync
from sweeps.tracking.store import identity
from sweeps.tracking.store.relocate import relocate
from sweeps.tracking.store.uri import own_database, uri_of_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the next pass tries again anyway
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Defaults for MLflow; what the user's environment says comes first."""


@dataclass(frozen=True)
class Opened:
    """A runs folder whose store can be used."""

    folders: tuple[str, ...]
    """The folder's identity, and others whose runs in its own database are its own."""

    alone: bool
    """The store is the folder's own database."""

    note: str | None
    """A sentence for the user, if the folder had been moved or copied."""


def open_folder(runs: Path, uri: str) -> Opened:
    """Give a runs folder its identity, and make or mend its own database if that is the store.

    A new database is complete or absent, whatever process dies at whatever moment.

    Raises:
        UserError: the database is something else, or another program holds it.
        InUse: a process follows a sweep by the folder's former place.
    """
    runs.mkdir(parents=True, exist_ok=True)
    database = own_database(uri, runs)
    with lease.hold(runs / ".mlflow.db.lock", wait=True):
        own = identity.open_folder(runs)
        if database is None:
            return Opened((own.folder,), alone=False, note=None)
        if not database.exists():
            _make(database)
        done = relocate(database, runs.resolve(), own)
    _set_wal_mode(database)
    return Opened(done.folders, alone=True, note=done.note)


def _set_wal_mode(database: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # stays with the file
    except sqlite3.Error as error:
        raise UserError(f"{database}: it does not open: {error}") from None


def connect(uri: str) -> MlflowClient:
    """Return a client of a store, with MLflow's own messages silenced."""
    _import_quietly()
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds
    from mlflow.tracking._tracking_service import utils  # noqa: PLC0415

    # MLflow remembers by a run's id alone where its artifacts are. A copied store has the same ids.
    utils._artifact_repos_cache.clear()
    return MlflowClient(tracking_uri=uri)


def _import_quietly() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401, PLC0415 - seconds

    for name in ("mlflow", "alembic", "sqlalchemy.engine", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _make(database: Path) -> None:
    _import_quietly()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

    temporary = database.with_name(f".{database.name}.tmp")
    _delete(temporary)  # of a process that was killed
    try:
        # MLflow would put the working folder into SQL as it is; `relocate` sets the location.
        SqlAlchemyStore(uri_of_file(temporary), "file:///")._dispose_engine()
        sync(temporary)
        temporary.replace(database)
    finally:
        _delete(temporary)  # on a full disk records need the room
    sync(database.parent)


def _delete(database: Path) -> None:
    """Delete a database with its companions."""
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink(missing_ok=True)


def close() -> None:
    """Close the connections to databases that MLflow keeps; its next call opens new ones.

    It would keep them, each with files that are open and mapped, until the process ends.
    """
    for name in ("tracking", "model_registry"):
        module = sys.modules.get(f"mlflow.store.{name}.sqlalchemy_store")
        for engine in [*module.SqlAlchemyStore._engine_map.values()] if module else []:
            engine.dispose()
