"""Sync state of a trial's MLflow runs, saved as ``mlflow/<sweep>.json`` in its record.

The state identifies the store independently of the location of the runs folder. The folder's own
database has a fixed name, any other store is identified by its URI. Earlier versions stored a URI
for the folder's own database as well.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from factorlab.storage.files import DamagedFile, read_json, reason_of, write_json
from factorlab.storage.record import Record
from sweeps.tracking.run_logging import RunSyncState
from sweeps.tracking.store.locations import local_path
from sweeps.tracking.store.uri import sqlite_file

OWN = "mlflow.db"
"""Name of the runs folder's own database."""


def save(record: Record, sweep: str, *, store: str, parent: str, child: RunSyncState) -> None:
    """Save the sync state of a run.

    Args:
        record: Record of the trial.
        sweep: Identifier of the sweep.
        store: Name of the store.
        parent: Id of the parent run.
        child: Sync state of the trial's run.
    """
    path = _path(record, sweep)
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"store": store, "parent": parent, "child": asdict(child)})


def load(record: Record, sweep: str, *, store: str, run: str) -> RunSyncState | None:
    """Return the saved sync state of a run.

    Returns None if there is none, or if it belongs to another store, run or version.
    """
    document = _read(_path(record, sweep))
    if document is None or not _same_store(document.get("store"), store):
        return None
    try:
        child = RunSyncState(**document["child"])
    except (KeyError, TypeError):  # written by another version
        return None
    return child if child.run == run else None


def remembered(runs: Path, sweep: str | None, *, store: str) -> frozenset[str]:
    """Return the ids of all runs in a store that saved states mention.

    Args:
        runs: Folder of all records.
        sweep: Identifier of a sweep; None for all sweeps.
        store: Name of the store.
    """
    name = "*" if sweep is None else quote(sweep, safe="")
    ids: set[str] = set()
    for path in (runs / "trials").glob(f"*/mlflow/{name}.json"):
        document = _read(path) or {}
        if _same_store(document.get("store"), store):
            child = document.get("child")
            run = child.get("run") if isinstance(child, dict) else None
            ids |= {str(document.get("parent")), str(run)}
    return frozenset(ids - {"", "None"})


def forget_missing_files(child: RunSyncState, record: Record, artifacts: str) -> None:
    """Remove uploaded files from the state if they are missing at the run's artifact location.

    They are then uploaded again. Earlier versions uploaded files of a copied runs folder to the
    original folder.

    Args:
        child: Sync state of the run; it is modified.
        record: Record of the trial.
        artifacts: Artifact location of the run.
    """
    folder = local_path(artifacts)
    if folder is None:
        return
    for name in list(child.files):
        here, there = record.path / name, folder / name
        if here.exists() and not (there.exists() and there.stat().st_size == here.stat().st_size):
            del child.files[name]


def _path(record: Record, sweep: str) -> Path:
    return record.path / "mlflow" / f"{quote(sweep, safe='')}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except (DamagedFile, OSError) as error:
        reason_of(error)
        return None


def _same_store(saved: object, store: str) -> bool:
    """Return whether a saved store name refers to this store."""
    if saved == store:
        return True
    file = sqlite_file(saved) if store == OWN and isinstance(saved, str) else None
    return file is not None and file.name == OWN  # the runs folder may have been elsewhere then
