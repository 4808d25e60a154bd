"""What a record remembers of its MLflow runs: ``mlflow/<sweep>.json`` in its folder.

The store is named so that nothing depends on where the runs folder lies: its own database has a
fixed name here, another store its URI. Earlier versions wrote the URI of the own database, too.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from factorlab.storage.files import DamagedFile, read_json, write_json
from factorlab.storage.record import Record
from sweeps.tracking.run_logging import RunSyncState
from sweeps.tracking.store.locations import local_path
from sweeps.tracking.store.uri import sqlite_file

OWN = "mlflow.db"
"""Name of the runs folder's own database."""


def save(record: Record, sweep: str, *, store: str, parent: str, child: RunSyncState) -> None:
    """Remember what a run has."""
    path = _path(record, sweep)
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"store": store, "parent": parent, "child": asdict(child)})


def load(record: Record, sweep: str, *, store: str, run: str) -> RunSyncState | None:
    """Return what is remembered of a run of a store; None where that is nothing of use."""
    document = _read(_path(record, sweep))
    if document is None or not _same_store(document.get("store"), store):
        return None
    try:
        child = RunSyncState(**document["child"])
    except (KeyError, TypeError):  # of another version
        return None
    return child if child.run == run else None


def remembered(runs: Path, sweep: str | None, *, store: str) -> frozenset[str]:
    """Return the ids of the runs of a store that state files name, of a sweep or of all."""
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
    """Forget uploaded files that are not where a run's artifacts lie, so that they are sent again.

    Earlier versions put those of a copied runs folder into the original.
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
    except DamagedFile:
        return None


def _same_store(saved: object, store: str) -> bool:
    """Return whether a saved store is this one."""
    if saved == store:
        return True
    file = sqlite_file(saved) if store == OWN and isinstance(saved, str) else None
    return file is not None and file.name == OWN  # wherever the runs folder lay then
