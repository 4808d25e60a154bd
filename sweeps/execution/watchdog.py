"""End a process that hangs.

The timer is that of faulthandler. It needs neither the GIL nor this thread, so it can end a process
that hangs in a system call or in compiled code. It writes a traceback before it does.
"""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from factorlab import heartbeat

REPORT = "hung.txt"
"""File in a trial's record with the traceback of a hung process."""

_REARM = 0.02
"""Share of the timeout after which a heartbeat resets the timer. Each reset starts a thread, so
most heartbeats do not reset it."""


class Watchdog:
    """Ends this process if no heartbeat of `factorlab.heartbeat` occurs within a timeout.

    Args:
        patience: Timeout in seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._set_at = 0.0
        self._file: IO[bytes] | None = None

    @contextmanager
    def watching(self, folder: Path) -> Iterator[None]:
        """Watch this process while the context is active.

        Args:
            folder: Folder of the report, created if missing.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / REPORT
        with path.open("wb") as self._file, heartbeat.heard(self._beat):
            self._set()
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                path.unlink(missing_ok=True)

    def _set(self) -> None:
        assert self._file is not None
        self._set_at = time.monotonic()
        faulthandler.dump_traceback_later(self._patience, exit=True, file=self._file)

    def _beat(self) -> None:
        if time.monotonic() - self._set_at > _REARM * self._patience:
            self._set()


def hung(folder: Path) -> bool:
    """Return whether the watchdog ended a process that reports to this folder."""
    try:
        return (folder / REPORT).stat().st_size > 0
    except OSError:
        return False
