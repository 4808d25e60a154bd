"""The identity of a runs folder: which MLflow runs are its own, wherever the folder lies.

A store may hold the runs of several folders. Each folder has a random identity, kept in
``<runs>/mlflow.json`` and set as a tag on its MLflow runs. A folder that was moved keeps its
identity. A copy gets another one while the original still exists, since both may train.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from factorlab.storage.files import DamagedFile, read_json, write_json

TAG = "factorlab.runs_folder"
"""Name of the tag, of runs and of experiments."""

_FILE = "mlflow.json"


@dataclass(frozen=True)
class Identity:
    """Who a runs folder is."""

    folder: str
    """Its identity now."""

    was: tuple[str, ...] = ()
    """Identities of the folders that it was copied from, the newest last."""

    place: str = ""
    """Where it lay when it was last opened."""


def read(runs: Path) -> Identity | None:
    """Return the identity that is on the disk, None where there is none or it is damaged."""
    try:
        document = read_json(runs / _FILE)
        if document is None:
            return None
        was = tuple(str(name) for name in document["was"])
        return Identity(str(document["folder"]), was, str(document["place"]))
    except (DamagedFile, KeyError, TypeError):
        return None


def open_folder(runs: Path) -> Identity:
    """Return the identity of a runs folder, made or renewed if need be.

    To be called by one process at a time.
    """
    known, place = read(runs), str(runs.resolve())
    if known is not None and known.place == place:
        return known
    if known is None:
        found = Identity(uuid.uuid4().hex, place=place)
    elif _is_copy(runs, known):
        found = Identity(uuid.uuid4().hex, (*known.was, known.folder), place)
    else:
        found = Identity(known.folder, known.was, place)
    document = {"folder": found.folder, "was": list(found.was), "place": found.place}
    write_json(runs / _FILE, document)
    return found


def _is_copy(runs: Path, known: Identity) -> bool:
    """Return whether the folder that this one was copied from still exists."""
    original = Path(known.place)
    try:
        if original.samefile(runs):
            return False
    except OSError:
        return False
    there = read(original)
    return there is not None and there.folder == known.folder
