"""What training several networks as one batched program gains, on one thread.

A pack of K networks takes a step, then one of them takes up to four steps alone, in turn for all K;
the fastest of each counts, in seconds of the processor. The gain is seconds a step of a network
alone over seconds a step and network in the pack. Operations are of a step of one network. A second
table has what a pack adds to the memory of a fresh process: its peak while training over what the
process held before.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import torch

from factorlab.training.packed import PackedTraining
from sweeps.planning.cost.pack_limits import step_flops
from tests.benchmarks.memory import in_child, resident
from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.benchmarks.training_step import ensemble, interleaved, settings_of

SHAPES = ((6, 4, 32), (8, 4, 64), (8, 8, 16), (8, 8, 64), (10, 8, 64), (13, 8, 64), (16, 8, 64))
"""N, width, batch."""

PACKS = (2, 4, 8, 16)
MOST_ALONE = 4
"""Steps alone that are timed together: enough not to be luckier than a longer step of a pack."""

WEIGHED = (1, 8)
"""Members of the packs whose memory is measured."""


def case_of(size: int, width: int, batch: int) -> str:
    """Return a shape in words."""
    return f"N = {size}, width {width}, batch {batch}"


def repeated(trained: PackedTraining, steps: int) -> None:
    """Take some steps."""
    for _ in range(steps):
        trained.step()


def measure_gain(shapes: tuple[tuple[int, int, int], ...], seconds: float, file: Path) -> None:
    """Publish seconds a step and network, and the gain over training alone."""
    found = []
    for shape in shapes:
        run, case = settings_of(*shape), case_of(*shape)
        lone = ensemble(run)
        steps = []
        for members in PACKS:
            steps += [
                ensemble(run, members).step,
                partial(repeated, lone, min(members, MOST_ALONE)),
            ]
        fastest = [min(times) for times in interleaved(steps, seconds, 2)]
        alone = [
            whole / min(members, MOST_ALONE)
            for whole, members in zip(fastest[1::2], PACKS, strict=True)
        ]
        found.append(Measurement(case, "a step alone", step_flops(run) / 1e9, "GFLOP"))
        found.append(Measurement(case, "alone", min(alone) * 1e3, "ms", "lower"))
        for members, whole, beside in zip(PACKS, fastest[::2], alone, strict=True):
            each = whole / members
            found.append(Measurement(case, f"K = {members}", each * 1e3, "ms", "lower"))
            found.append(Measurement(case, f"gain of {members}", beside / each))
    publish("packs", "A step of each network of a pack of K, on one thread", found, file)


def weigh(shape: tuple[int, int, int], members: int) -> float:
    """Return what a pack adds to the peak memory of this process, in MB."""
    ensemble(settings_of(6, 4, 1)).step()  # loads whatever a first step loads
    before = resident("VmRSS")
    repeated(ensemble(settings_of(*shape), members), 3)
    return resident() - before


def measure_memory(shapes: tuple[tuple[int, int, int], ...], file: Path) -> None:
    """Publish the memory of packs."""
    found = []
    for shape in shapes:
        for members in WEIGHED:
            added = in_child(__spec__.name, *map(str, shape), str(members))
            name = f"K = {members}"
            found.append(Measurement(case_of(*shape), name, added, "MB", "lower"))
            found.append(Measurement(case_of(*shape), f"{name}, each", added / members, "MB"))
    publish("memory of packs", "What training adds to the memory of a process", found, file)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="to see that it runs, 20 seconds")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    parser.add_argument("--child", type=int, nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.child:
        *shape, members = options.child
        print(json.dumps(weigh(tuple(shape), members)))
        return
    measure_gain(SHAPES[:2] if options.quick else SHAPES, 7.0, options.history)
    measure_memory(SHAPES[:1] if options.quick else SHAPES[3::3], options.history)


if __name__ == "__main__":
    main()
