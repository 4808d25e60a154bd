"""Sweeps on a real Ray cluster: workers, driver and raylet are killed at random moments.

The sweep is started again whenever its driver has ended, until all faults are injected; then two
drivers run it to its end at once. Every trial must end bit-identical to that of an undisturbed
sweep, no finished trial may be trained again, and journal and store must have every point once.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psutil

from factorlab.provenance.sources import ROOT
from tests.chaos import disk
from tests.chaos.damage import DAMAGES, gone
from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.processes import FACTORLAB

PATIENCE = 600.0
"""Seconds after which a process counts as hanging."""

FAULTS = {
    "worker killed": 8,
    "worker asked to end": 3,
    "driver killed": 2,
    "driver asked to end": 2,
    "raylet killed": 2,
    "all processes killed": 2,
}
"""How many of each are injected at a share of 1."""

SEARCHES = 2
"""How many searches have their driver killed, at a share of 1."""

FULL_DISKS = 3
"""How many sweeps hit one, at a share of 1."""


class Sweep:
    """A sweep in a folder, and its drivers.

    Args:
        folder: Its folder, which is created.
        trials: Number of trials.
        without: Safeguard of the driver to turn off.
        options: Further options of the command.
    """

    def __init__(
        self, folder: Path, trials: int, without: str | None = None, options: Sequence[str] = ()
    ) -> None:
        folder.mkdir(parents=True)
        self.options, self.environment = options, dict(os.environ)
        self.folder, self.runs, self.drivers = folder, folder / "runs", 0
        off = [sys.executable, "-m", "tests.chaos.safeguards", without]
        self.command = [FACTORLAB] if without is None else off
        path = write_experiment(
            folder / "chaos.yaml",
            axes={"seed": list(range(trials))},
            resources={"pack": 1},
            training={"steps": 260, "log_every": 10, "checkpoint_every": 40},
            evaluation={"samples": 9, "keep": 1, "every": 100},
        )
        self.records = records_of(path, self.runs)
        self.finished: dict[str, float] = {}

    def start(self) -> subprocess.Popen:
        """Start a driver."""
        self.drivers += 1
        with (self.folder / f"driver-{self.drivers}.log").open("wb") as log:
            return subprocess.Popen(
                [*self.command, "sweep", "chaos.yaml", *self.options],
                cwd=self.folder,
                env={**self.environment, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return the end of the newest driver's output."""
        return (self.folder / f"driver-{self.drivers}.log").read_text()[-600:]

    def refresh(self) -> str:
        """Return which trial was trained again or given up, if any was."""
        for log in self.folder.glob("driver-*.log"):
            for line in log.read_text().splitlines():
                if line.endswith(": failed"):
                    return f"a trial was given up: {line}"
        for record in self.records:
            result = record.result()
            if result is not None:
                before = self.finished.setdefault(record.key, result["finished"])
                if before != result["finished"]:
                    return f"trial {record.key[:8]} was finished and is trained again"
            elif record.key in self.finished:
                return f"trial {record.key[:8]} was finished and is not any more"
        return ""

    def state(self) -> dict[str, tuple]:
        """Return what faults must not change, by key."""
        return {
            record.key: (
                record.result()["weights_sha256"],
                record.result()["metrics"],
                [(point.step, point.metrics) for point in record.points()[0]],
            )
            for record in self.records
        }

    def stored(self) -> str:
        """Return what is wrong with the store: points that are missing or repeated."""
        points = sum(len(p.metrics) for r in self.records for p in r.points()[0])
        with closing(sqlite3.connect(self.runs / "mlflow.db")) as store:
            (found,) = store.execute("select count(*) from metrics").fetchone()
            query = "select count(*) from (select distinct run_uuid, key, step from metrics)"
            (different,) = store.execute(query).fetchone()
        wrong = f"the journals have {points} points, the store {found}, {different} different"
        return "" if points == found == different else wrong


def reference(folder: Path, trials: int) -> dict[str, tuple]:
    """Return the state of an undisturbed sweep."""
    sweep = Sweep(folder, trials)
    assert sweep.start().wait(600) == 0, (folder / "driver-1.log").read_text()
    assert not sweep.stored()
    return sweep.state()


def _descendants(driver: subprocess.Popen) -> list[psutil.Process]:
    try:
        return psutil.Process(driver.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _workers(driver: subprocess.Popen) -> list[psutil.Process]:
    """Return the processes that hold the lease of a trial."""
    found = []
    for process in _descendants(driver):
        try:
            if any(file.path.endswith("/lease") for file in process.open_files()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _until_it_trains(driver: subprocess.Popen) -> list[psutil.Process]:
    """Return the workers as soon as there is one; none if the driver ends first."""
    deadline = time.monotonic() + PATIENCE
    while driver.poll() is None:
        workers = _workers(driver)
        if workers:
            return workers
        if time.monotonic() > deadline:
            raise TimeoutError("no trial was begun")
        time.sleep(0.1)
    return []


def _inject(kind: str, driver: subprocess.Popen, rng: random.Random) -> None:
    """Inject a fault into a running sweep."""
    workers = _workers(driver) or _until_it_trains(driver)
    everyone = _descendants(driver)
    if kind.startswith("worker"):
        targets = [rng.choice(workers)] if workers else []
    elif kind.startswith("raylet"):
        targets = [process for process in everyone if process.name() == "raylet"]
        assert targets
    elif kind.startswith("driver"):
        targets = [psutil.Process(driver.pid)]
    else:
        targets = [psutil.Process(driver.pid), *everyone]
    number = signal.SIGTERM if kind.endswith("asked to end") else signal.SIGKILL
    for process in targets:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _gone(driver: subprocess.Popen) -> str:
    """Wait for a driver to end; return what is wrong if it does not."""
    try:
        driver.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(driver.pid, signal.SIGKILL)
        return f"the driver still ran after {PATIENCE:.0f} s"
    return ""


def _without_plan(sweep: Sweep, damage: Callable[[Path, random.Random], None], seed: int) -> str:
    """Damage the saved plan; return what is wrong with the message of `factorlab status`."""
    path = next(sweep.runs.glob("sweeps/*/plan.json"))
    whole = path.read_bytes()
    damage(path, random.Random(seed))
    command = [FACTORLAB, "status", "chaos"]
    ended = subprocess.run(
        command, cwd=sweep.folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    path.write_bytes(whole)
    # A sweep without a plan was never started; any other damage must be reported.
    named = damage is gone or "plan.json: " in ended.stderr
    if ended.returncode == 2 and named and "Traceback" not in ended.stderr:
        return ""
    return f"status ended with {ended.returncode} and said: {ended.stderr}"


def _on_a_full_disk(sweep: Sweep, kilobytes: int, expected: dict[str, tuple]) -> str:
    """Run a sweep on a full disk, enlarge the disk, resume the sweep; return what is wrong."""
    sweep.runs.mkdir()
    with disk.small(sweep.runs, kilobytes):
        first = sweep.start()
        problem = _gone(first)
        said = sweep.output()
        if "No space left on device" not in said or "Traceback" in said:
            problem = problem or f"it ended with {first.returncode} and said: {said}"
        disk.grow(sweep.runs, 64 * 1024)
        second = sweep.start()
        problem = problem or _gone(second) or ("" if second.returncode == 0 else sweep.output())
        if not problem and sweep.state() != {r.key: expected[r.key] for r in sweep.records}:
            problem = "its numbers are not those of an undisturbed one"
        return problem or sweep.stored()


def _search_without_driver(folder: Path, rng: random.Random) -> str:
    """Kill the driver of a search and run the search to its end; return what is wrong."""
    folder.mkdir(parents=True)
    write_experiment(
        folder / "chaos.yaml",
        axes={"training.learning_rate": {"loguniform": [1e-4, 1e-1]}},
        search={
            "algorithm": "ray.tune.search.optuna.OptunaSearch",
            "metric": "accuracy",
            "mode": "max",
            "runs": 6,
        },
        figures=[],
    )
    command, picks = [FACTORLAB, "sweep", "chaos.yaml"], folder / "runs/sweeps/chaos_default"
    with (folder / "first.log").open("wb") as log:
        first = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    _until_it_trains(first)
    time.sleep(rng.uniform(0, 3))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    picked = (picks / "picked.jsonl").read_bytes()
    before = _finished(folder)
    second = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    after = _finished(folder)
    if second.returncode != 0:
        return f"it ended with {second.returncode} and said: {second.stderr[-600:]}"
    if not (picks / "picked.jsonl").read_bytes().startswith(picked[: picked.rfind(b"\n") + 1]):
        return "it forgot what it had picked"
    if len(after) != 6 or not before.items() <= after.items():
        return f"it trained {len(after)} runs, or one of {len(before)} finished ones again"
    return ""


def _finished(folder: Path) -> dict[str, bytes]:
    """Return the results of all finished runs, by key."""
    return {p.parent.name: p.read_bytes() for p in folder.glob("runs/trials/*/result.json")}


def disturbed(
    folder: Path, share: float, seed: int, *, may_mount: bool, without: str | None = None
) -> Iterator[tuple[str, str, str]]:
    """Inject faults into sweeps; yield kind, fault and what is wrong.

    Args:
        folder: Folder of the sweeps.
        share: Share of the faults.
        seed: Seed of the faults.
        may_mount: Whether disks can be filled.
        without: Safeguard of the driver to turn off.
    """
    rng = random.Random(seed)
    kinds = [kind for kind, n in FAULTS.items() for _ in range(max(1, round(share * n)))]
    rng.shuffle(kinds)
    trials = 4 + 2 * len(kinds)
    expected = reference(folder / "undisturbed", trials)
    sweep = Sweep(folder / "disturbed", trials, without)
    driver = sweep.start()
    for kind in kinds:
        _until_it_trains(driver)
        delay = rng.uniform(0, 2)
        time.sleep(delay)
        problem = "" if driver.poll() is None else "the sweep was over before"
        if not problem:
            _inject(kind, driver, rng)
        if not kind.startswith("worker"):
            problem = problem or _gone(driver)
            driver = sweep.start()
        yield kind, f"{delay:.1f} s after a trial began", problem or sweep.refresh()
    second = sweep.start()
    problem = _gone(second) or _gone(driver)
    problem = problem or sweep.refresh()
    yield "two drivers at once", "to the end", problem
    last = sweep.start()
    problem = _gone(last)
    if not problem and last.returncode != 0:
        problem = sweep.output()
    if not problem and sweep.state() != expected:
        problem = "its numbers are not those of an undisturbed one"
    yield "a sweep after all these", "compared", problem or sweep.refresh() or sweep.stored()
    for damage in DAMAGES:
        yield "plan damaged", damage.__name__, _without_plan(sweep, damage, seed)
    for i in range(max(1, round(share * FULL_DISKS)) if may_mount else 0):
        kilobytes = rng.randrange(16, 1200, 4)
        small = Sweep(folder / f"full-{i}", 4)
        yield "sweep on a full disk", f"{kilobytes} kB", _on_a_full_disk(small, kilobytes, expected)
    for i in range(max(1, round(share * SEARCHES)) if without is None else 0):
        problem = _search_without_driver(folder / f"search-{i}", rng)
        yield "driver of a search killed", "and run again", problem
