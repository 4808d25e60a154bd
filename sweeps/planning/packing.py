"""Which trials train together: packs of one shape, so that every slot has work."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from factorlab.config import Shape
from sweeps.planning.pack_limits import PackLimits
from sweeps.planning.plan import PlannedTrial

FAIR = 1.1
"""Times a slot's even share of all work, what the packs of a shape on one slot may take."""


def form(
    trials: Sequence[PlannedTrial],
    seconds: Mapping[str, float],
    limits_of: Mapping[Shape, PackLimits],
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
        groups[trial.run.shape].append(trial)
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
