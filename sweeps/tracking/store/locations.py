"""Artifact locations as MLflow stores them: URIs and paths, and the folders that they name."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit


def root_of(location: str) -> Path | None:
    """Return the folder of artifacts that holds the location of an experiment.

    The location is that folder, or below it one that is named by the experiment's number.
    """
    path = local_path(location)
    if path is not None and path.name.isdigit():
        path = path.parent
    return path if path is not None and path.name == "artifacts" else None


def is_runs_folder(folder: Path) -> bool:
    """Return whether a folder holds something that a runs folder holds."""
    return any((folder / name).exists() for name in ("sweeps", "trials", "mlflow.db"))


def local_path(location: str) -> Path | None:
    """Return the path of a location on this machine's disks, None for others."""
    if not location.startswith("file:"):
        return Path(location) if location.startswith("/") else None
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    path = os.fsdecode(unquote_to_bytes(parts.path))
    return Path(path) if parts.netloc in ("", "localhost") else None


def spellings(old: Path, new: Path) -> list[tuple[str, str]]:
    """Return the ways in which a location may name a folder, each with its replacement.

    MLflow decodes a path like a URI, so one with a percent sign is better stored as a URI.
    """
    path = new.as_uri() if "%" in str(new) else str(new)
    return [(old.as_uri(), new.as_uri()), (str(old), path)]


def lies_below(location: str, root: str) -> bool:
    """Return whether a location is a root or lies below it, in the same spelling."""
    return f"{location}/".startswith(f"{root}/")


def replaced(value: object, old: str, new: str) -> object:
    """Return a JSON value in which locations below `old` lie below `new`."""
    if isinstance(value, dict):
        return {key: replaced(entry, old, new) for key, entry in value.items()}
    if isinstance(value, list):
        return [replaced(entry, old, new) for entry in value]
    if not isinstance(value, str) or not lies_below(value, old):
        return value
    done = lies_below(new, old) and lies_below(value, new)
    return value if done else new + value[len(old) :]
