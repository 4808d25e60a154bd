"""Wall time of a sweep beside its trials' own time, and beside other ways to run a grid.

Trials of about 5 s differ in their seed alone. Their own time is measured standalone, one trial
after another in a process, with as many processes side by side as there are cores, which share
caches and clock. That over the cores is the ideal. A first trial in each process is left out,
since it pays for imports.

Trials one by one are what a sweep's own cost shows in; packs train the same trials in less than
their own time, so that their share of the ideal may pass 1.

Every way has a process and a fresh folder of records of its own, and is timed from its start to
its end. The first step is seen by the first line of a journal, up to 10 steps late.

Overhead a trial is (wall x cores - sum of the trials' own seconds) / trials, in core seconds;
`after the start` leaves out what passes before the first step.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import psutil
import yaml

from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.benchmarks.scheduling_peers import CORES, FACTORLAB, PEERS

PEER_SCRIPT = Path(__file__).with_name("scheduling_peers.py")
SECONDS = 5.0
"""Of a trial."""

TRIAL = {
    "data": {"size": 8, "spacing": 0.5},
    "model": {"width": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 5},
    "training": {"steps": 40, "batch_size": 64, "log_every": 10},
    "evaluation": {"samples": 64, "loss_samples": 64, "keep": 0},
}
EMPTY = {
    "data": {"size": 6, "spacing": 0.5},
    "model": {"width": 4, "encoding": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 1},
    "training": {"steps": 1, "batch_size": 4},
    "evaluation": {"samples": 1, "loss_samples": 1, "keep": 0},
}


@dataclass(frozen=True)
class Watched:
    """What was seen of a process from outside."""

    wall: float
    first: float
    """Seconds to the first line of a journal."""

    peak: float
    """Largest resident set, in MB, without its children's."""


def watch(command: list[str], folder: Path, checkout: Path | None = None) -> Watched:
    """Run a command to its end, with the modules of another checkout if one is given.

    Raises:
        RuntimeError: it failed.
    """
    start, first, peak = time.perf_counter(), None, 0.0
    environment = {**os.environ, **({"PYTHONPATH": str(checkout)} if checkout else {})}
    with (folder / "messages").open("w") as messages:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=messages, stderr=messages
        )
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            time.sleep(0.05)
            if first is None and any(folder.glob("runs/trials/*/metrics.jsonl")):
                first = time.perf_counter() - start
            lines = status.read_text().splitlines() if status.exists() else []
            peaks = [line.split()[1] for line in lines if line.startswith("VmHWM")]
            peak = max([peak, *(int(kib) * 1024 / 1e6 for kib in peaks)])
    wall = time.perf_counter() - start
    if process.returncode != 0:
        raise RuntimeError(f"{command}: {(folder / 'messages').read_text()[-2000:]}")
    assert first is not None
    return Watched(wall, first, peak)


def standalone(settings: dict, trials: int, processes: int) -> float:
    """Return the mean seconds of a trial with some processes side by side."""
    with tempfile.TemporaryDirectory(prefix="factorlab-bench-") as name:
        file = Path(name) / "settings.json"
        file.write_text(json.dumps(settings))
        running = [
            subprocess.Popen(
                [sys.executable, PEER_SCRIPT, "alone", file, f"{name}/{i}", str(trials)],
                stdout=subprocess.PIPE,
            )
            for i in range(processes)
        ]
        outputs = [process.communicate()[0] for process in running]
    return mean(second for output in outputs for second in json.loads(output))


def sweep(settings: dict, trials: int, pack: str | int, checkout: Path | None = None) -> Watched:
    """Run a grid of seeds by `factorlab sweep`, mirrored into SQLite as users have it."""
    with tempfile.TemporaryDirectory(prefix="factorlab-bench-") as name:
        folder = Path(name)
        axes, resources = {"seed": list(range(trials))}, {"pack": pack}
        experiment = {"name": "bench", "base": settings, "axes": axes, "resources": resources}
        experiment["figures"] = []  # the others draw none
        (folder / "bench.yaml").write_text(yaml.safe_dump(experiment))
        seen = watch([FACTORLAB, "sweep", "bench.yaml"], folder, checkout)
        done = len(list(folder.glob("runs/trials/*/result.json")))
    assert done == trials
    return seen


def peer(name: str, settings: dict, trials: int) -> Watched:
    """Run a grid of seeds by one of `PEERS`."""
    with tempfile.TemporaryDirectory(prefix="factorlab-bench-") as scratch:
        folder = Path(scratch)
        file = folder / "settings.json"
        file.write_text(json.dumps(settings))
        command = [sys.executable, str(PEER_SCRIPT), name, str(file), "runs", str(trials)]
        seen = watch(command, folder)
        done = len(list(folder.glob("runs/trials/*/result.json")))
    assert done == trials, f"{name}: {done} of {trials} trials are done"
    return seen


def calibrated(seconds: float) -> dict:
    """Return trials that take about so long in a process that is alone."""
    short, steps = standalone(TRIAL, 2, 1), TRIAL["training"]["steps"]
    longer = {**TRIAL, "training": {**TRIAL["training"], "steps": 3 * steps}}
    a_step = (standalone(longer, 2, 1) - short) / (2 * steps)
    wanted = max(10, round(steps + (seconds - short) / a_step))
    return {**TRIAL, "training": {**TRIAL["training"], "steps": wanted}}


def rows(case: str, trials: int, seen: Watched, own: float) -> list[Measurement]:
    """Return a line of the table.

    Args:
        case: its name.
        trials: how many were run.
        seen: what was measured.
        own: seconds that a trial takes with all cores busy.
    """
    ideal = own * trials / CORES
    overhead = (seen.wall * CORES - own * trials) / trials
    later = ((seen.wall - seen.first) * CORES - own * trials) / trials
    return [
        Measurement(case, "trials", trials),
        Measurement(case, "wall", seen.wall, "s", "lower"),
        Measurement(case, "ideal", ideal, "s"),
        Measurement(case, "share of the ideal", ideal / seen.wall, "", "higher"),
        Measurement(case, "start to first step", seen.first, "s", "lower"),
        Measurement(case, "share after the start", ideal / (seen.wall - seen.first), "", "higher"),
        Measurement(case, "overhead a trial", overhead, "s"),
        Measurement(case, "overhead a trial after the start", later, "s"),
    ]


def measure_peers(seconds: float, trials: int, fewer: int, history: Path) -> None:
    """Publish the sweep beside its peers."""
    settings = calibrated(seconds)
    busy = standalone(settings, 3, CORES)
    found = rows("factorlab sweep", trials, sweep(settings, trials, "auto"), busy)
    found += rows("one by one", fewer, sweep(settings, fewer, 1), busy)
    for name in PEERS:
        few = max(2, fewer // CORES) if name == "shell: for" else fewer
        found += rows(name, few, peer(name, settings, few), busy)
    title = (
        f"Trials of {settings['training']['steps']} steps on {CORES} cores: {busy:.2f} s each "
        f"with all cores busy (the ideal), load before {os.getloadavg()[0]:.1f}"
    )
    publish("scheduling", title, found, history)


def measure_growth(counts: list[int], history: Path) -> None:
    """Publish what a trial costs beside its own time, over the number of trials."""
    own = standalone(EMPTY, 20, CORES)
    found = []
    for trials in counts:
        seen = sweep(EMPTY, trials, 1)
        found += rows(f"{trials} trials", trials, seen, own)
        found.append(Measurement(f"{trials} trials", "driver's peak", seen.peak, "MB", "lower"))
    title = f"Trials of one step, {own:.3f} s each standalone with all cores busy"
    publish("scheduling growth", title, found, history)


def middle(seen: list[Watched]) -> Watched:
    """Return the medians of what was watched."""
    return Watched(
        median(one.wall for one in seen),
        median(one.first for one in seen),
        median(one.peak for one in seen),
    )


def measure_beside(
    checkout: Path, seconds: float, trials: int, history: Path, *, most: int = 0
) -> None:
    """Publish the sweep of this code and that of another checkout, in turn.

    Args:
        checkout: the other one.
        seconds: of a trial.
        trials: how many are trained in packs; twice as many near-empty ones.
        history: file to add the numbers to.
        most: how many near-empty ones are trained at once besides, once by each code.
    """
    codes = {"this code": None, "the other": checkout.resolve()}
    settings = calibrated(seconds)
    busy, own = standalone(settings, 3, CORES), standalone(EMPTY, 20, CORES)
    long, short = ({code: [] for code in codes} for _ in range(2))
    for code, path in codes.items():
        long[code].append(sweep(settings, trials, "auto", path))
    for _ in range(3):
        for code, path in codes.items():
            short[code].append(sweep(EMPTY, 2 * trials, 1, path))
    found = []
    for code in codes:
        found += rows(f"{code}, {busy:.1f} s each", trials, middle(long[code]), busy)
        found += rows(f"{code}, near-empty", 2 * trials, middle(short[code]), own)
    for code, path in codes.items() if most else ():
        found += rows(f"{code}, {most} near-empty", most, sweep(EMPTY, most, 1, path), own)
    title = f"This code beside that of {checkout}; of near-empty trials medians of three"
    publish("scheduling beside", title, found, history)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute, to see that it runs")
    parser.add_argument("--full", action="store_true", help="5000 trials alone, 15 minutes")
    parser.add_argument("--beside", type=Path, help="another checkout to compare with, 13 minutes")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    options = parser.parse_args()
    print(f"{psutil.cpu_percent(1):.0f} % of the cores are busy before", file=sys.stderr)
    if options.beside:
        if not (options.beside / "sweeps" / "cli" / "main.py").exists():
            parser.error(f"--beside {options.beside}: no checkout of this project")
        most = 5000 if options.full else 0
        measure_beside(options.beside, SECONDS, 100, options.history, most=most)
        return
    if not options.quick and not options.full:
        measure_peers(SECONDS, trials=100, fewer=6, history=options.history)
    counts = [20] if options.quick else [5000] if options.full else [50, 200]
    measure_growth(counts, options.history)


if __name__ == "__main__":
    main()
