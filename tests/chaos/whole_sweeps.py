"""Whole sweeps on a real Ray: workers, driver and raylet are killed at random moments.

One sweep is started again whenever its driver is gone, until all faults are spent; then two drivers
run it to its end at once. It must end complete, every trial with the bits of one that nobody
disturbed, none trained again once it was finished, and every point once in journal and store.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil

from factorlab.storage.record import Record
from sweeps.planning import experiment, plan
from tests.chaos import disk
from tests.chaos.damage import DAMAGES, gone

FACTORLAB = str(Path(sys.executable).parent / "factorlab")
PATIENCE = 150.0
"""Seconds after which a process counts as hanging."""

EXPERIMENT = """
name: chaos
base:
  data: {size: 6, spacing: 1.0}
  model: {width: 4, encoding: 8}
  diffusion: {prediction: v, sampling_steps: 2}
  training: {steps: 260, batch_size: 4, log_every: 10, checkpoint_every: 40}
  evaluation: {samples: 9, loss_samples: 4, keep: 1, every: 100}
axes: {seed: [%s]}
resources: {pack: 1}
"""

FAULTS = {
    "worker killed": 8,
    "worker asked to end": 3,
    "driver killed": 2,
    "driver asked to end": 2,
    "raylet killed": 2,
    "queue of trials killed": 2,
    "all processes killed": 2,
}
"""How many of each are injected in full."""

FULL_DISKS = 3
"""How many sweeps run into one, in full."""


class Sweep:
    """A sweep in a folder, and its driver while there is one."""

    def __init__(self, folder: Path, trials: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self.runs, self.drivers = folder, folder / "runs", 0
        (folder / "chaos.yaml").write_text(EXPERIMENT % ", ".join(map(str, range(trials))))
        planned = plan.make(experiment.load(str(folder / "chaos.yaml")), self.runs)
        self.records = [Record(self.runs, trial.key) for trial in planned.trials]
        self.finished: dict[str, float] = {}

    def start(self) -> subprocess.Popen:
        """Start a driver."""
        self.drivers += 1
        with (self.folder / f"driver-{self.drivers}.log").open("wb") as log:
            return subprocess.Popen(
                [FACTORLAB, "sweep", "chaos.yaml"],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """Return the last that the newest driver said."""
        return (self.folder / f"driver-{self.drivers}.log").read_text()[-600:]

    def look(self) -> str:
        """Take note of what is finished; returns what was trained again, if anything was."""
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
        """Return what has to be the same, however the sweep went, by key."""
        return {
            record.key: (
                record.result()["weights_sha256"],
                record.result()["metrics"],
                [(point.step, point.metrics) for point in record.points()[0]],
            )
            for record in self.records
        }

    def stored(self) -> str:
        """Return what is wrong with the store: points that are missing or there twice."""
        points = sum(len(p.metrics) for r in self.records for p in r.points()[0])
        with closing(sqlite3.connect(self.runs / "mlflow.db")) as store:
            (found,) = store.execute("select count(*) from metrics").fetchone()
            query = "select count(*) from (select distinct run_uuid, key, step from metrics)"
            (different,) = store.execute(query).fetchone()
        wrong = f"the journals have {points} points, the store {found}, {different} different"
        return "" if points == found == different else wrong


def reference(folder: Path, trials: int) -> dict[str, tuple]:
    """Return what a sweep leaves that nobody disturbs."""
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
    """Return the processes that hold a trial's lease."""
    found = []
    for process in _descendants(driver):
        try:
            if any(file.path.endswith("/lease") for file in process.open_files()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _until_it_trains(driver: subprocess.Popen) -> list[psutil.Process]:
    """Return the workers once there is one; nothing if the driver ends before."""
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
    """Inject a fault into a sweep that trains."""
    workers = _workers(driver) or _until_it_trains(driver)
    everyone = _descendants(driver)
    if kind.startswith("worker"):
        targets = [rng.choice(workers)] if workers else []
    elif kind.startswith("raylet"):
        targets = [process for process in everyone if process.name() == "raylet"]
        assert targets
    elif kind.startswith("queue"):
        targets = [process for process in everyone if process.name() == "ray::WorkQueue"]
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
    """Wait for a driver to end; returns what is wrong if it does not."""
    try:
        driver.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(driver.pid, signal.SIGKILL)
        return f"the driver still ran after {PATIENCE:.0f} s"
    return ""


def _without_plan(sweep: Sweep, damage: Callable[[Path, random.Random], None], seed: int) -> str:
    """Damage the plan that is kept; returns what is wrong with what commands say and mend then."""
    path = next(sweep.runs.glob("sweeps/*/plan.json"))
    whole = path.read_bytes()
    damage(path, random.Random(seed))
    command = [FACTORLAB, "status", "chaos"]
    told = subprocess.run(
        command, cwd=sweep.folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    path.write_bytes(whole)
    # Gone is as if it had never been started; all else has to be named.
    named = damage is gone or "plan.json: " in told.stderr
    if told.returncode == 2 and named and "Traceback" not in told.stderr:
        return ""
    return f"status ended with {told.returncode} and said: {told.stderr}"


def _on_a_full_disk(sweep: Sweep, kilobytes: int, expected: dict[str, tuple]) -> str:
    """Run a sweep without room for its records, make room, go on; returns what is wrong."""
    sweep.runs.mkdir()
    with disk.small(sweep.runs, kilobytes):
        first = sweep.start()
        problem = _gone(first)
        said = sweep.said()
        if "No space left on device" not in said or "Traceback" in said:
            problem = problem or f"it ended with {first.returncode} and said: {said}"
        disk.grow(sweep.runs, 64 * 1024)
        second = sweep.start()
        problem = problem or _gone(second) or ("" if second.returncode == 0 else sweep.said())
        if not problem and sweep.state() != {r.key: expected[r.key] for r in sweep.records}:
            problem = "its numbers are not those of an undisturbed one"
        return problem or sweep.stored()


def disturbed(
    folder: Path, share: float, seed: int, *, may_mount: bool
) -> Iterator[tuple[str, str, str]]:
    """Disturb sweeps; yields kind, fault and what is wrong."""
    rng = random.Random(seed)
    kinds = [kind for kind, n in FAULTS.items() for _ in range(max(1, round(share * n)))]
    rng.shuffle(kinds)
    trials = 4 + 2 * len(kinds)
    expected = reference(folder / "undisturbed", trials)
    sweep = Sweep(folder / "disturbed", trials)
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
        yield kind, f"{delay:.1f} s after a trial began", problem or sweep.look()
    second = sweep.start()
    problem = _gone(second) or _gone(driver)
    problem = problem or sweep.look()
    yield "two drivers at once", "to the end", problem
    last = sweep.start()
    problem = _gone(last)
    if not problem and last.returncode != 0:
        problem = sweep.said()
    if not problem and sweep.state() != expected:
        problem = "its numbers are not those of an undisturbed one"
    yield "a sweep after all these", "compared", problem or sweep.look() or sweep.stored()
    for damage in DAMAGES:
        yield "plan damaged", damage.__name__, _without_plan(sweep, damage, seed)
    for i in range(max(1, round(share * FULL_DISKS)) if may_mount else 0):
        kilobytes = rng.randrange(16, 1200, 4)
        small = Sweep(folder / f"full-{i}", 4)
        yield "sweep on a full disk", f"{kilobytes} kB", _on_a_full_disk(small, kilobytes, expected)
