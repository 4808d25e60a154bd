"""Safeguards turned off one at a time, to show that the faults would find them missing.

`python -m tests.chaos.run --without NAME` has to end with faults that were not survived.
"""

import contextlib
import os
import sys
import types
from collections.abc import Callable

from factorlab.storage import checkpoint, files, journal, record


def _no_checksum() -> None:
    """Checkpoints are taken as they are."""
    checkpoint._digest = lambda _content: 32 * "0"


def _no_journal_offset() -> None:
    """Checkpoints that were written after lines of the journal that are lost are taken, too."""
    newest = checkpoint.newest
    checkpoint.newest = lambda folder, _length, device: newest(folder, 2**63, device)


def _no_line_checksum() -> None:
    """Lines of the journal are taken as they are."""
    journal.zlib = type("Same", (), {"crc32": staticmethod(lambda _content: 0)})


def _no_sync() -> None:
    """Files get their name before their content is on the disk."""

    def write(path, content):
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(content)
        temporary.replace(path)

    original = files.write_atomically
    for module in list(sys.modules.values()):
        if getattr(module, "write_atomically", None) is original:
            module.write_atomically = write


def _no_folder_sync() -> None:
    """Names of files are not put on the disk."""
    original = files.sync
    files.sync = lambda path: None if path.is_dir() else original(path)


def _no_journal_sync() -> None:
    """Lines of the journal are not put on the disk."""
    journal.os = types.SimpleNamespace(truncate=os.truncate, fsync=lambda _descriptor: None)


def _no_lease() -> None:
    """Whoever comes may train a trial."""
    record.Record.lease = lambda _record: contextlib.nullcontext()


SAFEGUARDS: dict[str, Callable[[], None]] = {
    "checksum": _no_checksum,
    "lease": _no_lease,
    "journal-offset": _no_journal_offset,
    "line-checksum": _no_line_checksum,
    "sync": _no_sync,
    "folder-sync": _no_folder_sync,
    "journal-sync": _no_journal_sync,
}
