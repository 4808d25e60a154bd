"""Group trials of one shape into packs that train together, such that every slot has work."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from factorlab.config import Shape
from sweeps.planning.cost.pack_limits import PackLimits
from sweeps.planning.plan import PlannedTrial

FAIR = 1.1
"""Maximum load of one slot with packs of one shape, as a multiple of an even share of all work."""

SAVED = 0.3
"""Share of the time of training one by one that we assume a pack of the maximum size to save.
Smaller packs save less in proportion (`make bench-packs`)."""

Pack = tuple[PlannedTrial, ...]


def form(
    trials: Sequence[PlannedTrial],
    seconds: Mapping[str, float],
    limits_of: Mapping[Shape, PackLimits],
    slots: int,
) -> list[Pack]:
    """Return packs of trials, the longest pack first.

    Args:
        trials: Trials to train.
        seconds: Training time of each trial in seconds, by key.
        limits_of: Range of pack sizes by shape.
        slots: Number of packs that train in parallel. Packs are made smaller to keep all slots
            busy, also at the end.
    """
    groups: dict[Shape, list[PlannedTrial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: -seconds[trial.key]):
        groups[trial.run.shape].append(trial)
    load = {shape: sum(seconds[t.key] for t in group) for shape, group in groups.items()}
    fair = sum(load.values()) / slots or 1.0  # what is left of a trial may take no time
    packs = {
        shape: _split(group, _count(len(group), limits_of[shape], load[shape] / (FAIR * fair)))
        for shape, group in groups.items()
    }
    for shape in sorted(groups, key=lambda shape: -load[shape]):
        allowed, even = limits_of[shape], max(1, round(load[shape] / fair))
        count = -(-len(packs[shape]) // even) * even
        if len(packs[shape]) < count <= len(groups[shape]) // allowed.fewest:
            more = packs | {shape: _split(groups[shape], count)}
            if _wall(more, seconds, limits_of, slots) < _wall(packs, seconds, limits_of, slots):
                packs = more
    return sorted(
        (pack for group in packs.values() for pack in group),
        key=lambda pack: -sum(seconds[trial.key] for trial in pack),
    )


def _count(trials: int, allowed: PackLimits, slots: float) -> int:
    """Return into how many packs to group trials of one shape.

    Args:
        trials: Number of trials.
        allowed: Range of pack sizes.
        slots: Number of slots that the trials have to keep busy.
    """
    size = min(allowed.most, trials // max(1, math.ceil(slots)))
    if size < allowed.fewest:
        return trials
    count = -(-trials // size)
    # Larger packs are better than one below the minimum size.
    return count if count == trials else min(count, trials // allowed.fewest)


def _split(group: Sequence[PlannedTrial], count: int) -> list[Pack]:
    """Return packs of about equal size, each of trials of similar length, which end together."""
    bounds = [len(group) * n // count for n in range(count + 1)]
    return [tuple(group[i:j]) for i, j in pairwise(bounds)]


def _wall(
    packs: Mapping[Shape, Sequence[Pack]],
    seconds: Mapping[str, float],
    limits_of: Mapping[Shape, PackLimits],
    slots: int,
) -> float:
    """Return how long packs take if each free slot gets the longest one that is left."""
    times = [
        sum(seconds[trial.key] for trial in pack)
        * (1 - SAVED * (len(pack) - 1) / max(1, limits_of[shape].most - 1))
        for shape, group in packs.items()
        for pack in group
    ]
    busy = [0.0] * slots
    for time in sorted(times, reverse=True):
        heapq.heapreplace(busy, busy[0] + time)
    return max(busy)
