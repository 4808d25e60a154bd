"""Safeguards turned off one at a time, to show that the faults need them.

`python -m tests.chaos.run --without NAME` has to end with faults that were not survived. Those of
`SAFEGUARDS` are turned off in the process of a trial, those of `OF_SWEEPS` in the driver.
"""

import contextlib
import os
import sys
import types
from collections.abc import Callable

from factorlab.storage import checkpoint, files, journal, record


def _no_checksum() -> None:
    """Accept checkpoints without comparing checksums."""
    checkpoint._digest = lambda _content: 32 * "0"


def _no_journal_offset() -> None:
    """Accept checkpoints that are ahead of the journal."""
    newest = checkpoint.newest
    checkpoint.newest = lambda folder, _length, device: newest(folder, 2**63, device)


def _no_line_checksum() -> None:
    """Accept lines of the journal without comparing checksums."""
    journal.zlib = type("Same", (), {"crc32": staticmethod(lambda _content: 0)})


def _no_sync() -> None:
    """Rename files before their content is synced."""

    def write(path, content):
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(content)
        temporary.replace(path)

    original = files.write_atomically
    for module in list(sys.modules.values()):
        if getattr(module, "write_atomically", None) is original:
            module.write_atomically = write


def _no_folder_sync() -> None:
    """Do not sync folders."""
    original = files.sync
    files.sync = lambda path: None if path.is_dir() else original(path)


def _no_journal_sync() -> None:
    """Do not sync the journal."""
    journal.os = types.SimpleNamespace(truncate=os.truncate, fsync=lambda _descriptor: None)


def _no_lease() -> None:
    """Let any process train a trial."""
    record.Record.lease = lambda _record: contextlib.nullcontext()


def _no_failure_config() -> None:
    """Let Ray Tune fail a trial at the first death of its worker."""
    # Ray reads its settings when it is imported.
    from sweeps.ray_runtime import ray_settings  # noqa: PLC0415

    ray_settings.configure(None)
    from ray.tune import FailureConfig  # noqa: PLC0415

    from sweeps.execution import tune_runner  # noqa: PLC0415

    tune_runner.FailureConfig = lambda **_options: FailureConfig(max_failures=0)


SAFEGUARDS: dict[str, Callable[[], None]] = {
    "checksum": _no_checksum,
    "lease": _no_lease,
    "journal-offset": _no_journal_offset,
    "line-checksum": _no_line_checksum,
    "sync": _no_sync,
    "folder-sync": _no_folder_sync,
    "journal-sync": _no_journal_sync,
}

OF_SWEEPS: dict[str, Callable[[], None]] = {"failure-config": _no_failure_config}
"""Safeguards of the driver of a sweep."""


def main() -> None:
    """Run the command `factorlab` without a safeguard: NAME ARGUMENTS..."""
    from sweeps.cli import main as command  # noqa: PLC0415

    name, *sys.argv[1:] = sys.argv[1:]
    OF_SWEEPS[name]()
    command.main()


if __name__ == "__main__":
    main()
