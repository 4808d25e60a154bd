"""SIGKILL at any moment of a trial, and power loss.

`moments` kills at a random time. `writes` kills before or after a call that writes to the disk.
With `power`, unsynced file tails and renames whose folder was not synced are lost.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.chaos import forks

_CALLS = ("fsync", "replace", "truncate")
"""Calls that write to the disk."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


Installer = Callable[[Path], None]
"""Makes a child die while it trains in a runs folder."""


class Disk:
    """Writes to the disk, and knows what a power loss would leave of it."""

    def __init__(self) -> None:
        self._fsync, self._replace, self.truncate = os.fsync, os.replace, os.truncate
        self._synced: dict[int, int] = {}  # by inode, bytes synced
        self._renamed: list[tuple[Path, Path, Path]] = []  # source, target, copy of the old target

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file; the rename is unsynced until its folder is synced."""
        source, target = Path(source), Path(target)
        before = target.with_name(f".{target.name}.before.tmp")
        if target.exists():
            os.link(target, before)
        self._replace(source, target)
        self._renamed.append((source, target, before))

    def fsync(self, descriptor: int) -> None:
        """Sync a file, or the renames in a folder."""
        self._fsync(descriptor)
        now, path = os.fstat(descriptor), _path_of(descriptor)
        self._synced[now.st_ino] = now.st_size
        for entry in [entry for entry in self._renamed if entry[1].parent == path]:
            self._renamed.remove(entry)
            entry[2].unlink(missing_ok=True)

    def lose(self, runs: Path, cut: int) -> None:
        """Undo unsynced renames, and cut up to so many unsynced bytes off each file."""
        for source, target, before in reversed(self._renamed):
            self._replace(target, source)
            if before.exists():
                self._replace(before, target)
        for path in runs.rglob("*"):
            if path.is_file():
                now = path.stat()
                least = min(self._synced.get(now.st_ino, 0), now.st_size)
                self.truncate(path, max(now.st_size - cut, least))


def _at_write(number: int, *, after: bool, cut: int) -> Installer:
    """Return an installer of a death at the n-th call of fsync, rename or truncate.

    Args:
        number: of the call, from 0.
        after: die after it instead of before it.
        cut: most bytes that each unsynced file loses at its end; 0 for a kill without power loss.
    """
    counter = iter(range(10**9))

    def install(runs: Path) -> None:
        disk = Disk()

        def die() -> None:
            forks.promise(runs)
            if cut:
                disk.lose(runs, cut)
            _die()

        def dying(call: Callable[..., None]) -> Callable[..., None]:
            def at(*arguments: Any) -> None:
                mine = next(counter) == number
                if mine and not after:
                    die()
                call(*arguments)
                if mine:
                    die()

            return at

        for name in _CALLS:
            setattr(os, name, dying(getattr(disk, name)))

    return install


def count_writes(runs: Path) -> int:
    """Return how many calls of a complete run write to the disk."""
    seen = []

    def act() -> int:
        for name in _CALLS:
            call = getattr(os, name)
            setattr(os, name, lambda *a, _call=call, **k: (seen.append(1), _call(*a, **k))[1])
        forks.train(runs)
        return len(seen)

    return int(forks.in_child(act).output)


def writes(calls: int, most: int, seed: int, *, power: bool) -> Iterator[tuple[str, Installer]]:
    """Yield a name and an installer of a death for each call, before and after it.

    Args:
        calls: of a complete run that write to the disk.
        most: how many to yield at most, drawn at random.
        seed: of the draw and of the bytes that are lost.
        power: lose what is not synced.
    """
    rng = random.Random(seed)
    every = [(number, after) for number in range(calls) for after in (False, True)]
    for number, after in sorted(rng.sample(every, min(most, len(every)))):
        cut = rng.randint(1, 4000) if power else 0
        yield (
            f"call {number}, {'after' if after else 'before'}",
            _at_write(number, after=after, cut=cut),
        )


def moments(seconds: float, count: int, seed: int) -> Iterator[tuple[str, Installer]]:
    """Yield deaths at random times of a run that takes about so many seconds.

    A run that ends earlier has to wait for its death (`await_death`).
    """
    rng = random.Random(seed)
    for _ in range(count):
        when = rng.uniform(0, seconds)

        def install(_runs: Path, when: float = when) -> None:
            threading.Timer(when, _die).start()

        yield f"after {when:.2f} s", install


def await_death() -> None:
    """Wait for the timer of a death; return if there is none."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()
