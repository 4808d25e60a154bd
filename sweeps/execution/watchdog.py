"""Ending a process in which nothing moves any more.

The alarm is faulthandler's: it needs neither Python's lock nor this thread, so that it ends a
process that hangs in a system call or in compiled code, and it writes down where that was.
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
"""File of a trial's record that says where it hung."""

_REARM = 0.02
"""Share of the patience after which a beat sets the alarm anew: it starts a thread each time."""


class Watchdog:
    """Ends this process after so many seconds without a beat of `factorlab.heartbeat`."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._set_at = 0.0
        self._file: IO[bytes] | None = None

    @contextmanager
    def watching(self, folder: Path) -> Iterator[None]:
        """Watch; where it hung goes into a file of a folder, which is made if missing."""
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
    """Return whether a process that was watched with this folder was ended."""
    try:
        return (folder / REPORT).stat().st_size > 0
    except OSError:
        return False
