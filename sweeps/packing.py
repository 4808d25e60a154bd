"""Which trials train together as one batched program, and how many.

A small network leaves a processor idle between its many small operations; several of them, as one
program, do not. On one CPU core a pack of 8 takes 0.5 to 0.7 of the time where a training step has
fewer than 10^9 operations, a pack of 2 or 3 takes longer than training alone, and larger steps gain
nothing (`make bench-packs`). On a GPU a pack is what fills it: as many trials as the step, alone,
takes longer than its operations should, and as fit into memory.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from factorlab.config import RunSettings, Shape
from factorlab.cost import forward_flops
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

FAIR = 1.1
"""Times a slot's even share of all work, what the packs of a shape on one slot may take."""

MEMORY_SHARE = 0.8
"""Of a trial's share of the GPU's memory, what a pack may take."""


def step_flops(settings: RunSettings) -> int:
    """Return the operations of a training step; a backward pass costs two forward ones."""
    return 3 * settings.training.batch_size * forward_flops(settings.model, settings.data.size)


@dataclass(frozen=True)
class Limits:
    """How many trials of a shape may train together."""

    fewest: int
    """Where packs would be smaller, trials train alone."""

    most: int
    """At least twice `fewest`, or 1: all train alone."""


ALONE = Limits(1, 1)


def on_cpu(settings: RunSettings) -> Limits:
    """Return how many trials of a shape should train together on a CPU core."""
    return Limits(FEWEST, MOST) if step_flops(settings) <= SMALL_STEP else ALONE


def limits(settings: RunSettings, speed: Speed, found: Findings, gpu: float) -> Limits:
    """Return how many trials of a shape should train together.

    Args:
        settings: a run of the shape.
        speed: of the shape, as it was probed.
        found: what the probe found of the machine.
        gpu: share of a GPU that a pack occupies.
    """
    if speed.memory is None or speed.step is None:
        return on_cpu(settings)
    idle = speed.step * gpu * A100_SUSTAINED / step_flops(settings)
    room = MEMORY_SHARE * gpu * found.gpu_memory / speed.memory
    return Limits(1, max(1, min(MOST_ON_GPU, int(idle), int(room))))


def form(
    trials: Sequence[PlannedTrial],
    seconds: Mapping[str, float],
    limits_of: Mapping[Shape, Limits],
    slots: int,
) -> list[tuple[PlannedTrial, ...]]:
    """Return packs of trials, the longest first.

    Args:
        trials: what to train.
        seconds: how long each takes, by key.
        limits_of: how many trials of a shape may train together.
        slots: packs that train at a time; packs are made smaller so that all have work.
    """
    groups: dict[Shape, list[PlannedTrial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: -seconds[trial.key]):
        groups[trial.settings.shape].append(trial)
    load = {shape: sum(seconds[t.key] for t in group) for shape, group in groups.items()}
    fair = FAIR * sum(load.values()) / slots
    packs = []
    for shape, group in groups.items():
        allowed, own_slots = limits_of[shape], math.ceil(load[shape] / fair)
        size = min(allowed.most, len(group) // own_slots)
        count = -(-len(group) // size) if size >= allowed.fewest else len(group)
        if count < len(group):  # rather some more in each than too few in one
            count = min(count, len(group) // allowed.fewest)
        # Of like length, so that those that train together end together.
        bounds = [len(group) * n // count for n in range(count + 1)]
        packs += [tuple(group[i:j]) for i, j in pairwise(bounds)]
    return sorted(packs, key=lambda pack: -sum(seconds[trial.key] for trial in pack))
