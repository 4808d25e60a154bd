"""How the cost of a training step grows: with N, width, batch, cores, and to the papers' grid.

The points of a range take their steps in turn on one thread; the fastest of each counts, in seconds
of the processor. Exponents are slopes of straight lines through the logarithms of seconds an image:
over the whole range, and over its upper half, where what a step costs at least matters less. Where
an image costs much, batches are smaller. Trials over their number are in `scheduling.py`.

Cores: processes of one thread each train side by side for some seconds; images a second of all.

The papers' grid is priced by a model that no GPU has checked: a slot has a fixed share of the rate
that we assume an A100 sustains, whether the GPU's other slots are busy or not; its trials are
placed longest first. Efficiency is the work over what all slots could do until the last one ends.
"""

import argparse
import heapq
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import torch

from sweeps.planning.cost.estimate import flops, work_of
from sweeps.planning.cost.pack_limits import A100_SUSTAINED, step_flops
from sweeps.planning.experiment import load
from sweeps.planning.plan import make
from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.benchmarks.training_step import ensemble, interleaved, settings_of

BATCH = 64
WORK = BATCH * 32**4
"""Images times N^4 of a step, which attention between pixels costs, up to which N is measured."""

AXES = ("N", "width", "batch")
RANGES = {
    "N, width 8": [(n, 8, min(BATCH, WORK // n**4)) for n in (8, 12, 16, 24, 32, 48, 64)],
    "width, N = 8": [(8, width, BATCH) for width in (8, 16, 32, 64)],
    "width, N = 16": [(16, width, BATCH // 4) for width in (8, 16, 32, 64)],
    "batch, N = 8": [(8, 8, batch) for batch in (8, 16, 32, 64, 128, 256)],
    "batch, N = 16": [(16, 8, batch) for batch in (8, 16, 32, 64, 128, 256)],
}
"""What grows and what stays, with the shapes (N, width, batch) of each point."""

CORES = len(os.sched_getaffinity(0))
GPUS = (1, 8, 64)
DAY = 86400


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the exponent of the power law through some points."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def measure_ranges(names: Iterable[str], seconds: float, file: Path) -> None:
    """Publish seconds an image along each range, and the exponents."""
    points, exponents = [], []
    for name in names:
        axis, _, rest = name.partition(", ")
        shapes = RANGES[name]
        runs = [settings_of(*shape) for shape in shapes]
        times = interleaved([ensemble(run).step for run in runs], seconds, 2)
        batches = [batch for _, _, batch in shapes]
        costs = [min(t) / batch for t, batch in zip(times, batches, strict=True)]
        operations = [step_flops(run) / batch for run, batch in zip(runs, batches, strict=True)]
        values = [shape[AXES.index(axis)] for shape in shapes]
        for value, batch, cost, work in zip(values, batches, costs, operations, strict=True):
            case = f"{axis} = {value}, {rest}"
            points += [
                Measurement(case, "batch", batch),
                Measurement(case, "an image", cost * 1e3, "ms", "lower"),
                Measurement(case, "operations", work / 1e9, "GFLOP"),
                Measurement(case, "rate", work / cost / 1e9, "GFLOP/s"),
            ]
        half = len(values) // 2
        exponents += [
            Measurement(name, "exponent", slope(values, costs)),
            Measurement(name, "in the upper half", slope(values[half:], costs[half:])),
            Measurement(name, "of the operations", slope(values, operations)),
        ]
    publish("growth", "An image of a training step on one thread", points, file)
    publish("growth exponents", "Seconds an image, as a power of what grows", exponents, file)


def train_for(seconds: float, start: Barrier, rates: "SimpleQueue[float]") -> None:
    """Train the laptop's largest shape, from when all processes are ready, and report images/s."""
    torch.set_num_threads(1)
    run = settings_of(13, 8, BATCH)
    trained = ensemble(run)
    trained.step()
    start.wait()
    begin, steps = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        trained.step()
        steps += 1
    rates.put(steps * BATCH / (time.perf_counter() - begin))


def throughput(processes: int, seconds: float) -> float:
    """Return images a second of some processes side by side."""
    context = multiprocessing.get_context("spawn")
    start, rates = context.Barrier(processes), context.SimpleQueue()
    running = [
        context.Process(target=train_for, args=(seconds, start, rates)) for _ in range(processes)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert all(process.exitcode == 0 for process in running)
    return sum(rates.get() for _ in running)


def measure_cores(seconds: float, file: Path) -> None:
    """Publish the throughput over the number of processes."""
    found = []
    alone = throughput(1, seconds)
    for processes in range(1, CORES + 1):
        rate = alone if processes == 1 else throughput(processes, seconds)
        case = f"{processes} processes"
        found += [
            Measurement(case, "throughput", rate, "images/s", "higher"),
            Measurement(case, "of the ideal", rate / alone / processes, "", "higher"),
        ]
    publish("cores", f"N = 13, width 8, batch {BATCH}, on {CORES} cores", found, file)


def makespan(seconds: Sequence[float], slots: int) -> float:
    """Return when the last trial ends, if each, longest first, goes to the slot that is free."""
    ends = [0.0] * slots
    for length in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def price_of_grid(file: Path) -> None:
    """Publish the days that the papers' grid of `scaling` takes, by the stated model."""
    experiment = load("scaling", "a100")
    with tempfile.TemporaryDirectory(prefix="factorlab-bench-") as runs:
        trials = make(experiment, Path(runs)).trials
    work = [flops(trial.run, work_of(trial.run)) for trial in trials]
    share = experiment.resources.gpu
    rate = A100_SUSTAINED * share
    found = []
    for gpus in GPUS:
        slots = int(gpus / share)
        end = makespan([trial / rate for trial in work], slots)
        found += [
            Measurement(f"{gpus} A100", "days", end / DAY),
            Measurement(f"{gpus} A100", "efficiency", sum(work) / rate / slots / end),
        ]
    title = (
        f"Model, checked on no GPU: {len(trials)} trials, {sum(work):.2e} FLOP, at an assumed "
        f"{A100_SUSTAINED / 1e12:.0f} TFLOP/s of a GPU's {1 / share:.0f} slots together; the "
        f"longest takes {max(work) / rate / DAY:.1f} days"
    )
    publish("papers' grid", title, found, file)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="to see that it runs, half a minute")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = ["batch, N = 8"] if options.quick else list(RANGES)
    measure_ranges(names, 2.0 if options.quick else 12.0, options.history)
    measure_cores(2.0 if options.quick else 8.0, options.history)
    price_of_grid(options.history)


if __name__ == "__main__":
    main()
