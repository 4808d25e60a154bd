"""Group trials of one shape into packs that train together, such that every slot has work."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from factorlab.config import Shape
from sweeps.planning.cost.pack_limits import PackLimits
from sweeps.planning.plan import PlannedTrial

FAIR = 1.1
"""Maximum load of one slot with packs of one shape, as a multiple of an even share of all work."""


def form(
    trials: Sequence[PlannedTrial],
    seconds: Mapping[str, float],
    limits_of: Mapping[Shape, PackLimits],
    slots: int,
) -> list[tuple[PlannedTrial, ...]]:
    """Return packs of trials, the longest pack first.

    Args:
        trials: Trials to train.
        seconds: Training time of each trial in seconds, by key.
        limits_of: Range of pack sizes by shape.
        slots: Number of packs that train in parallel. Packs are made smaller to keep all slots
            busy.
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
        if count < len(group):  # larger packs are better than one below the minimum size
            count = min(count, len(group) // allowed.fewest)
        # Group trials of similar length, so that a pack's trials end together.
        bounds = [len(group) * n // count for n in range(count + 1)]
        packs += [tuple(group[i:j]) for i, j in pairwise(bounds)]
    return sorted(packs, key=lambda pack: -sum(seconds[trial.key] for trial in pack))
