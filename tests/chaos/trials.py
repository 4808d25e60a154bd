"""Faults of a single trial, and their outcomes."""

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import damage, disk, forks, kills


@dataclass(frozen=True)
class Outcome:
    """The outcome of a fault."""

    kind: str
    fault: str
    problem: str
    """What was lost or wrong; empty if the fault was survived."""


@dataclass(frozen=True)
class Reference:
    """A run without faults."""

    fingerprint: str
    seconds: float
    calls: int
    """Calls that write to the disk."""

    kilobytes: int
    """Most space that its record takes while it trains."""


def reference(folder: Path) -> Reference:
    """Run the trial without faults, twice, and compare."""
    forks.in_child(lambda: forks.train(folder / "warm"))  # compiles what children then share
    calls = kills.count_writes(folder / "counted")
    begin = time.monotonic()
    exited = forks.in_child(lambda: forks.train(folder / "plain"))
    seconds = time.monotonic() - begin
    assert exited.status == 0, exited.output
    first, second = (forks.fingerprint(folder / name) for name in ("counted", "plain"))
    assert first == second
    forks.in_child(lambda: damage.stop_in_the_middle(folder / "half"))
    most = max(disk.used(folder / "plain"), disk.used(folder / "half"))
    return Reference(first, seconds, calls, most)


def _finish(runs: Path, expected: Reference, checkpoint: int) -> str:
    """Resume the trial and train it to its end; return what is wrong then.

    Args:
        runs: folder of the record.
        expected: a run without faults.
        checkpoint: step that must not be trained again.
    """
    exited = forks.in_child(lambda: forks.train(runs))
    if exited.status != 0:
        return f"the resumed trial ended with {exited.status}: {exited.output}"
    if forks.fingerprint(runs) != expected.fingerprint:
        return "the record is not that of a run without faults"
    if int(exited.output) > forks.SETTINGS["training"]["steps"] - checkpoint:
        return f"{exited.output} steps were trained though {checkpoint} were in a checkpoint"
    return ""


def killed(
    kind: str, faults: Iterator[tuple[str, kills.Installer]], expected: Reference, folder: Path
) -> Iterator[Outcome]:
    """Kill a trial, resume it, and compare."""
    for i, (name, install) in enumerate(faults):
        runs = folder / f"{kind}-{i}".replace(" ", "-")

        def act(runs: Path = runs, install: kills.Installer = install) -> int:
            install(runs)
            trained = forks.train(runs)
            kills.await_death()
            return trained

        exited = forks.in_child(act)
        if not exited.killed:
            yield Outcome(kind, name, f"the child ended with {exited.status}: {exited.output}")
            continue
        checkpoint = max(forks.promised(runs), forks.last_checkpoint(runs))
        yield Outcome(kind, name, _finish(runs, expected, checkpoint))


def damaged(times: int, seed: int, expected: Reference, folder: Path) -> Iterator[Outcome]:
    """Damage the files of a stopped and of a finished trial, resume it, and compare."""
    forks.in_child(lambda: damage.stop_in_the_middle(folder / "stopped"))
    groups = (
        (folder / "stopped", damage.of_a_stopped_trial(times, seed)),
        (folder / "plain", damage.of_a_finished_trial(times, seed)),
    )
    for source, faults in groups:
        for name, do, checkpoint in faults:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                runs = Path(scratch)
                shutil.copytree(source, runs, dirs_exist_ok=True)
                do(runs)
                yield Outcome("damaged file", name, _finish(runs, expected, checkpoint))


def full(count: int, seed: int, expected: Reference, folder: Path) -> Iterator[Outcome]:
    """Train on a disk that fills up, enlarge it, resume the trial, and compare."""
    rng = random.Random(seed)
    for _ in range(count):
        room = rng.randrange(16, expected.kilobytes + 8, 4)
        with disk.small(folder / "disk", room) as runs:
            exited = forks.in_child(lambda runs=runs: forks.train(runs))
            reported = exited.status == 0 or "No space left" in exited.output
            disk.grow(runs, 4 * expected.kilobytes + 1024)
            checkpoint = forks.last_checkpoint(runs)
            problem = (
                _finish(runs, expected, checkpoint) if reported else f"it said: {exited.output}"
            )
        yield Outcome("full disk", f"{room} kB", problem)


def no_rights(count: int, expected: Reference, folder: Path) -> Iterator[Outcome]:
    """Resume in a read-only folder, make it writable, resume again, and compare."""
    forks.in_child(lambda: damage.stop_in_the_middle(folder / "half-way"))
    for _ in range(count):
        with disk.small(folder / "disk", 4 * expected.kilobytes + 1024) as runs:
            shutil.copytree(folder / "half-way", runs, dirs_exist_ok=True)
            disk.allow_writing(runs, allowed=False)
            exited = forks.in_child(lambda runs=runs: forks.train(runs))
            reported = f"Read-only file system: '{runs}" in exited.output
            disk.allow_writing(runs, allowed=True)
            problem = (
                _finish(runs, expected, checkpoint=0) if reported else f"it said: {exited.output}"
            )
        yield Outcome("folder without rights", "read-only file system", problem)


def contended(count: int, seed: int, expected: Reference, folder: Path) -> Iterator[Outcome]:
    """Train one trial in two processes at once, and compare."""
    rng = random.Random(seed)
    for i in range(count):
        runs, delay = folder / f"contended-{i}", rng.uniform(0, expected.seconds / 2)

        def second(runs: Path = runs, delay: float = delay) -> int:
            time.sleep(delay)
            return forks.train(runs)

        first = forks.begin(lambda runs=runs: forks.train(runs))
        exits = forks.begin(second)(), first()
        trained = [int(exited.output) for exited in exits if exited.status == 0]
        refused = [exited for exited in exits if exited.status != 0 and "Busy" in exited.output]
        if len(trained) + len(refused) < 2:
            problem = f"they said: {[exited.output for exited in exits]}"
        elif sum(trained) > forks.SETTINGS["training"]["steps"]:
            problem = f"both trained, {trained} steps"
        else:
            problem = _finish(runs, expected, checkpoint=0)
        yield Outcome("two processes, one trial", f"{delay:.2f} s apart", problem)
