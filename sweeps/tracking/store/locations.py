"""Artifact locations as MLflow stores them, as URIs or paths, and the folders they refer to."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit


def root_of(location: str) -> Path | None:
    """Return the `artifacts` folder of an experiment's artifact location, or None.

    The location is either this folder itself, or a subfolder named after the experiment's number.
    """
    path = local_path(location)
    if path is not None and path.name.isdigit():
        path = path.parent
    return path if path is not None and path.name == "artifacts" else None


def is_runs_folder(folder: Path) -> bool:
    """Return whether a folder contains any of the typical entries of a runs folder."""
    return any((folder / name).exists() for name in ("sweeps", "trials", "mlflow.db"))


def local_path(location: str) -> Path | None:
    """Return the path of a local location, or None for other locations."""
    if not location.startswith("file:"):
        return Path(location) if location.startswith("/") else None
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    path = os.fsdecode(unquote_to_bytes(parts.path))
    return Path(path) if parts.netloc in ("", "localhost") else None


def spellings(old: Path, new: Path) -> list[tuple[str, str]]:
    """Return the possible spellings of a folder in locations, each with its replacement.

    MLflow decodes paths like URIs, so a path with a percent sign is replaced by a URI.

    Args:
        old: Former path of the folder.
        new: Current path of the folder.
    """
    path = new.as_uri() if "%" in str(new) else str(new)
    return [(old.as_uri(), new.as_uri()), (str(old), path)]


def lies_below(location: str, root: str) -> bool:
    """Return whether a location is equal to a root or below it, in the same spelling."""
    return f"{location}/".startswith(f"{root}/")


def replaced(value: object, old: str, new: str) -> object:
    """Return a JSON value in which locations below `old` are moved below `new`."""
    if isinstance(value, dict):
        return {key: replaced(entry, old, new) for key, entry in value.items()}
    if isinstance(value, list):
        return [replaced(entry, old, new) for entry in value]
    if not isinstance(value, str) or not lies_below(value, old):
        return value
    done = lies_below(new, old) and lies_below(value, new)
    return value if done else new + value[len(old) :]
