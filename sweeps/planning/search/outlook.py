"""How many runs a threshold search still needs, by simulation."""

from __future__ import annotations

import numpy as np

from sweeps.planning.plan import Outlook, Plan
from sweeps.planning.search.threshold import of_plan

_REPETITIONS = 10
"""Simulations. Each takes some tenths of a second."""


def outlook_of(plan: Plan, *, simulate: bool) -> Outlook:
    """Return what a plan's threshold search still has to do.

    Args:
        plan: The plan.
        simulate: Whether to simulate how many runs that takes; without, as many as are allowed.

    Raises:
        UserError: An option of the search or a value is not allowed.
    """
    search = of_plan(plan)
    most = plan.state().to_pick
    over = search.over()
    if over is not None or most == 0:
        return Outlook(over=over)
    if not simulate:
        return Outlook(low=most, middle=most, high=most)
    counts = [
        search.expected_runs(np.random.default_rng(seed), most) for seed in range(_REPETITIONS)
    ]
    low, middle, high = np.quantile(counts, [0.1, 0.5, 0.9], method="closest_observation")
    return Outlook(low=int(low), middle=int(middle), high=int(high))
