"""Leases on files: one process at a time holds a lease, until it releases it or dies.

A lease is a lock of the file system (`flock`), which the operating system frees when the process
dies. Some disks do not support locks, such as Lustre mounted without `-o flock`. There a lease is a
chain of numbered claim files next to the file:

- The process that creates the claim with the next number holds the lease. Creation is exclusive.
- The holder touches its claim every `TOUCH` seconds, and writes into it to release the lease.
- A claim has ended if it was released, if its process is dead on this machine, or if nobody touched
  it for `STALE` seconds by the clock of the disk.

Claims guarantee the following: as long as a holder reaches the disk at least every `STALE` seconds,
no other process gets its lease. A holder that is suspended for longer loses the lease. Its process
exits when it wakes up and finds a newer claim. After a machine dies, its leases are free within
`STALE` seconds. All machines must mount the disk in the same way, because locks and claims do not
see each other.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import platform
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

TOUCH = 10.0
"""Seconds between two touches of a claim."""

STALE = 120.0
"""Seconds without a touch after which a claim has ended."""

_FREE = "free"  # content of a released claim
_RETRIES = 3  # `is_held` takes a shared lock for an instant
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP}


class Held(RuntimeError):  # noqa: N818 - a state, not an error of either process
    """Another process holds the lease."""


@contextmanager
def hold(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lease on a file, which is created if missing.

    Args:
        path: Path of the file, in an existing folder.
        wait: Whether to wait until the lease is free.

    Raises:
        Held: Another process holds it.
    """
    with path.open("a") as file:
        try:
            _lock(file, wait=wait)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                error.filename = str(path)
                raise
        else:
            yield
            return
        with _Claim(path).held(wait=wait):
            yield


def is_held(path: Path) -> bool:
    """Return whether a process holds the lease on a file, without changing anything on disk."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            error.filename = str(path)
            raise
        claim = _Claim(path)
        return claim.live(claim.newest(), time.time())
    return False


def _lock(file: IO[str], *, wait: bool) -> None:
    """Lock an open file.

    Raises:
        Held: Another process has locked it.
        OSError: The disk does not support locks, or refuses this one.
    """
    if wait:
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    for attempt in range(_RETRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05 * (attempt + 1))
        else:
            return
    raise Held(f"{file.name} is held by another process")


def _machine() -> str:
    """Return an identifier that distinguishes this machine's processes from those of others."""
    namespace, boot = Path("/proc/self/ns/pid"), Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{platform.node()} {boot.read_text().strip()} {namespace.readlink()}"
    except OSError:  # not Linux
        return platform.node()


def _runs(process: int) -> bool:
    """Return whether a process of this machine is running."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # a process of another user
        return True
    return True


@cache
def _warn(disk: int) -> None:
    log.warning(
        "disk %d does not support file locks: leases use claim files, and the leases of a machine "
        "that dies are free after %.0f s",
        disk,
        STALE,
    )


class _Claim:
    """The claims on one file, including the one of this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = re.compile(rf"{re.escape(path.name)}\.claim\.(\d+)")

    def newest(self) -> tuple[int, Path] | None:
        """Return number and path of the newest claim, None if there is none."""
        found = ((self._name.fullmatch(path.name), path) for path in self._path.parent.iterdir())
        return max(((int(match[1]), path) for match, path in found if match), default=None)

    def live(self, claim: tuple[int, Path] | None, now: float) -> bool:
        """Return whether the holder of a claim still holds the lease.

        Args:
            claim: The newest claim.
            now: Time of the disk's clock, in seconds since the epoch.
        """
        if claim is None:
            return False
        try:
            content = claim[1].read_text(encoding="utf-8")
            age = now - claim[1].stat().st_mtime
        except FileNotFoundError:  # a newer claim replaced it
            return True
        machine, _, process = content.rpartition(" ")
        if content == _FREE or (machine == _machine() and not _runs(int(process))):
            return False
        return age < STALE  # a claim without content has just been created

    @contextmanager
    def held(self, *, wait: bool) -> Iterator[None]:
        """Hold the lease by a claim.

        Raises:
            Held: Another process holds it.
        """
        _warn(self._path.parent.stat().st_dev)
        pause = 0.02
        while (own := self._take()) is None:
            if not wait:
                raise Held(f"{self._path} is held by another process")
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
        ended = threading.Event()
        thread = threading.Thread(target=self._keep, args=(own, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            own.write_text(_FREE, encoding="utf-8")

    def _take(self) -> Path | None:
        """Create the next claim and return its path; None if the lease is held."""
        newest = self.newest()
        if newest is not None and self.live(newest, self._now()):
            return None
        number = newest[0] + 1 if newest else 0
        own = self._path.with_name(f"{self._path.name}.claim.{number}")
        try:
            with own.open("x", encoding="utf-8") as file:
                file.write(f"{_machine()} {os.getpid()}")
        except FileExistsError:
            return None
        if self.newest() != (number, own):  # others took and released the lease meanwhile
            own.unlink(missing_ok=True)
            return None
        if newest is not None:
            newest[1].unlink(missing_ok=True)
        return own

    def _now(self) -> float:
        """Return the time of the disk's clock, in seconds since the epoch."""
        with tempfile.TemporaryFile(dir=self._path.parent) as file:
            file.write(b"now")
            file.flush()
            return os.fstat(file.fileno()).st_mtime

    def _keep(self, own: Path, ended: threading.Event) -> None:
        """Touch a claim until it is released; exit this process if another one took it over."""
        while not ended.wait(TOUCH):
            try:
                os.utime(own)
                newest = self.newest()
            except FileNotFoundError:
                newest = None
            except OSError:  # the disk is unreachable; it may come back in time
                continue
            if newest is None or newest[1] != own:
                log.critical("%s was taken over: this process was suspended too long; exiting", own)
                os._exit(1)
