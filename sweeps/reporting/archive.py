"""An archive of a sweep's records, to publish the numbers behind a figure.

It is a small runs folder: unpacked with ``tar -xf ARCHIVE -C RUNS``, all tables, figures and
verdicts can be made again without training.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from factorlab.errors import UserError
from factorlab.storage.files import write_atomically
from sweeps.planning.plan import Plan, path_of

SUFFIX = ".tar.xz"
_FOLDERS = ("samples", "analysis")
"""Folders of a record that are read for tables, figures and verdicts, beside its own files."""

_SUFFIXES = (".json", ".jsonl", ".npz")
"""Files in them that are; not among them are weights, pictures and locks."""


def write(plan: Plan, path: Path) -> int:
    """Write the plan of a sweep and its records to an archive.

    The same records give the same bytes: files are sorted and have no times and no owners.

    Args:
        plan: Plan of the sweep.
        path: The archive, whose name ends in `.tar.xz`.

    Returns:
        The number of trials in it.

    Raises:
        UserError: No trial has ended, or a record cannot be read.
        OSError: The file cannot be written.
    """
    state = plan.state()
    for trial, reason in state.problems():
        if state.states[trial.key] == "unreadable":
            raise UserError(f"{reason}; an archive has the records of all runs that have ended")
    ended = [plan.record(trial).path for trial in state.select("done", "failed", "stopped")]
    if not ended:
        raise UserError(f"{plan.runs}: no trial of '{plan.sweep}' has ended")
    files = [file for record in ended for file in _files(record)]
    files += _files(path_of(plan.runs, plan.sweep).parent)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        for file in sorted(files):
            entry = tarfile.TarInfo(file.relative_to(plan.runs).as_posix())
            entry.size, entry.mode = file.stat().st_size, 0o644
            with file.open("rb") as opened:
                archive.addfile(entry, opened)
    write_atomically(path, content.getvalue())
    return len(ended)


def _files(folder: Path) -> list[Path]:
    """Return the files to include of a record, or of the folder of a sweep."""
    inside = (file for file in folder.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
    return [f for f in inside if f.relative_to(folder).parts[0] in _FOLDERS or f.parent == folder]
