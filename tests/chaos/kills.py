"""SIGKILL at any moment of a trial, and what a power cut takes with it.

`moments` kills at a random time. `writes` kills at a call that puts something on the disk, before
it or after it; with `power`, what was not yet on the disk is lost: the ends of all files that were
written but not synced.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forks


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _at_write(number: int, *, after: bool, cut: int) -> Callable[[], None]:
    """Return what makes a child die at its n-th call of fsync, rename or truncate.

    Args:
        number: of the call, from 0.
        after: die after it instead of before it.
        cut: bytes that are lost at the end of each file that is not on the disk yet; 0 for a mere
            kill.
    """
    calls = {"fsync": os.fsync, "replace": os.replace, "truncate": os.truncate}
    counter = iter(range(10**9))
    synced: dict[int, int] = {}  # by inode, bytes that are on the disk
    named: set[Path] = set()

    def lose(path: Path) -> None:
        if path.is_file():
            now = path.stat()
            least = min(synced.get(now.st_ino, 0), now.st_size)
            calls["truncate"](path, max(now.st_size - cut, least))

    def die() -> None:
        for path in named if cut else ():
            lose(path)
        _die()

    def patched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def at(*arguments: Any, **keywords: Any) -> Any:
            mine = next(counter) == number
            if name == "fsync":
                named.add(_path_of(arguments[0]))
            if mine and not after:
                die()
            result = call(*arguments, **keywords)
            if name == "fsync":
                now = os.fstat(arguments[0])
                synced[now.st_ino] = now.st_size
            elif name == "replace":  # the name is there, and what it names may not be
                named.add(Path(arguments[1]))
            if mine:
                die()
            return result

        return at

    def install() -> None:
        for name, call in calls.items():
            setattr(os, name, patched(name, call))

    return install


def count_writes(runs: Path) -> int:
    """Return how many calls a whole run makes that put something on the disk."""
    seen = []

    def act() -> int:
        for name in ("fsync", "replace", "truncate"):
            call = getattr(os, name)
            setattr(os, name, lambda *a, _call=call, **k: (seen.append(1), _call(*a, **k))[1])
        forks.train(runs)
        return len(seen)

    return int(forks.in_child(act).said)


def writes(
    calls: int, most: int, seed: int, *, power: bool
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield a name and an installer of a death for each call, before and after it.

    Args:
        calls: that a whole run makes.
        most: how many to yield, drawn at random where there are more.
        seed: of the draw and of the bytes that are lost.
        power: whether a power cut takes what is not synced.
    """
    rng = random.Random(seed)
    every = [(number, after) for number in range(calls) for after in (False, True)]
    for number, after in sorted(rng.sample(every, min(most, len(every)))):
        cut = rng.randint(1, 4000) if power else 0
        yield (
            f"call {number}, {'after' if after else 'before'}",
            _at_write(number, after=after, cut=cut),
        )


def moments(seconds: float, count: int, seed: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield deaths at random times of a run that takes so many seconds."""
    rng = random.Random(seed)
    for _ in range(count):
        when = rng.uniform(0, seconds)

        def install(when: float = when) -> None:
            threading.Timer(when, _die).start()

        yield f"after {when:.2f} s", install
