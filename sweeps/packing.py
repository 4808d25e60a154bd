"""Which trials train together as one batched program, and how many.

A small network leaves a processor idle between its many small operations; several of them, as one
program, do not. On one CPU core a pack of 8 takes 0.5 to 0.7 of the time where a training step has
fewer than 10^9 operations, a pack of 2 or 3 takes longer than training alone, and larger steps gain
nothing (`make bench-packs`). On a GPU a pack is what fills it: as many trials as the step, alone,
takes longer than its operations should, and as fit into memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from factorlab.config import RunSettings, Shape
from sweeps.plan import PlannedTrial
from sweeps.probe import Findings, Speed

A100_SUSTAINED = 30e12
"""Floating-point operations a second that we assume small UNets sustain on an A100, a tenth of
its bfloat16 peak of 312e12; an assumption, to price plans made on machines without one."""

SMALL_STEP = 1e9
"""Operations of a training step up to which a CPU gains from a pack."""

FEWEST, MOST = 4, 8
"""Trials of a pack on a CPU: fewer gain nothing or lose, more gain little for their memory."""

MOST_ON_GPU = 32
"""Trials of a pack on a GPU, whatever the estimate says (our choice)."""

MEMORY_SHARE = 0.8
"""Of a trial's share of the GPU's memory, what a pack may take."""


def step_flops(settings: RunSettings, image: float) -> float:
    """Return the operations of a training step; a backward pass costs two forward ones.

    Args:
        settings: the run.
        image: operations of one forward pass of one image.
    """
    return 3 * settings.training.batch_size * image


def best_size(settings: RunSettings, speed: Speed, found: Findings, gpu: float) -> int:
    """Return how many trials of a shape should train together.

    Args:
        settings: a run of the shape.
        speed: of the shape, as it was probed.
        found: what the probe found of the machine.
        gpu: share of a GPU that a pack occupies.
    """
    operations = step_flops(settings, speed.flops)
    if speed.memory is None or speed.step is None:
        return MOST if operations <= SMALL_STEP else 1
    idle = speed.step * gpu * A100_SUSTAINED / operations
    room = MEMORY_SHARE * gpu * found.gpu_memory / speed.memory
    return max(1, min(MOST_ON_GPU, int(idle), int(room)))


def form(
    trials: Sequence[PlannedTrial],
    seconds: Mapping[str, float],
    sizes: Mapping[Shape, int],
    slots: int,
    fewest: int = FEWEST,
) -> list[tuple[PlannedTrial, ...]]:
    """Return packs of trials, the longest first.

    Args:
        trials: what to train.
        seconds: how long each takes, by key.
        sizes: most trials of a pack, by shape, at least twice `fewest` or 1.
        slots: packs that train at a time; packs are made smaller so that there are as many.
        fewest: where packs would be smaller, trials stay alone.
    """
    groups: dict[Shape, list[PlannedTrial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: -seconds[trial.key]):
        groups[trial.settings.shape].append(trial)
    packs = []
    for shape, group in groups.items():
        size = min(sizes[shape], len(group) // slots)
        count = -(-len(group) // size) if size >= fewest else len(group)
        if count < len(group):
            count = min(count, len(group) // fewest)  # rather some more in each than too few in one
        # Of like length, so that those that train together end together.
        bounds = [len(group) * n // count for n in range(count + 1)]
        packs += [tuple(group[i:j]) for i, j in pairwise(bounds)]
    return sorted(packs, key=lambda pack: -sum(seconds[trial.key] for trial in pack))
