"""The identity of a runs folder, which distinguishes its MLflow runs from those of other folders.

A store may hold the runs of several folders. Each folder has a random identity, saved in
``<runs>/mlflow.json`` and set as a tag on its MLflow runs. A moved folder keeps its identity. A
copied folder gets a new identity if the original still exists, because both may be used.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from factorlab.storage.files import DamagedFile, read_json, write_json

TAG = "factorlab.runs_folder"
"""Name of the tag on runs and experiments."""

_FILE = "mlflow.json"


@dataclass(frozen=True)
class Identity:
    """Identity of a runs folder."""

    folder: str
    """Current identity."""

    was: tuple[str, ...] = ()
    """Identities of the folders that it was copied from, the latest last."""

    place: str = ""
    """Path of the folder when it was last opened."""


def read(runs: Path) -> Identity | None:
    """Return the saved identity of a runs folder, or None if it is missing or damaged."""
    try:
        document = read_json(runs / _FILE)
        if document is None:
            return None
        was = tuple(str(name) for name in document["was"])
        return Identity(str(document["folder"]), was, str(document["place"]))
    except (DamagedFile, KeyError, TypeError):
        return None


def open_folder(runs: Path) -> Identity:
    """Return the identity of a runs folder. It is created or updated if necessary.

    Only one process at a time may call this.
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
    """Return whether this folder is a copy of one that still exists."""
    original = Path(known.place)
    try:
        if original.samefile(runs):
            return False
    except OSError:
        return False
    there = read(original)
    return there is not None and there.folder == known.folder
