"""Open MLflow stores, and create the runs folder's own database.

MLflow creates the tables of a new database one by one. If the process dies in between, MLflow can
never open the database again ("table already exists"). The database is therefore created under a
temporary name and renamed once complete.
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
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the next pass retries anyway
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Default environment variables for MLflow. Values set by the user take precedence."""


@dataclass(frozen=True)
class Opened:
    """A runs folder whose store is ready for use."""

    folders: tuple[str, ...]
    """The folder's identity, and others whose runs in its own database belong to it."""

    alone: bool
    """Whether the store is the folder's own database."""

    note: str | None
    """Message for the user if the folder was moved or copied, otherwise None."""


def open_folder(runs: Path, uri: str) -> Opened:
    """Prepare a runs folder for tracking.

    Sets the folder's identity. If its own database is the store, creates it or updates its artifact
    locations. The creation is atomic: a crash never leaves an incomplete database.

    Args:
        runs: Folder of all records.
        uri: URI of the store.

    Raises:
        UserError: The file is not a database, or another program has locked it.
        InUse: Another process still syncs a sweep under the folder's former path.
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
            connection.execute("PRAGMA journal_mode=WAL")  # persists in the file
    except sqlite3.Error as error:
        raise UserError(f"{database}: cannot be opened: {error}") from None


def connect(uri: str) -> MlflowClient:
    """Return a client of a store, and silence MLflow's own log messages."""
    _import_quietly()
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds
    from mlflow.tracking._tracking_service import utils  # noqa: PLC0415

    # MLflow caches artifact locations by run id, but a copied store has the same ids.
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
    _delete(temporary)  # may remain from a killed process
    try:
        # MLflow would insert the working folder into SQL unescaped; `relocate` sets the location.
        SqlAlchemyStore(uri_of_file(temporary), "file:///")._dispose_engine()
        sync(temporary)
        temporary.replace(database)
    finally:
        _delete(temporary)  # on a full disk, records need the space
    sync(database.parent)


def _delete(database: Path) -> None:
    """Delete a database and its journal files."""
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink(missing_ok=True)


def close() -> None:
    """Close MLflow's cached database connections. The next call of MLflow opens new ones.

    Otherwise MLflow keeps them, with open and memory-mapped files, until the process ends.
    """
    for name in ("tracking", "model_registry"):
        module = sys.modules.get(f"mlflow.store.{name}.sqlalchemy_store")
        for engine in [*module.SqlAlchemyStore._engine_map.values()] if module else []:
            engine.dispose()
