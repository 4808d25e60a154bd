"""Check the parts of Ray Tune that plans name, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.planning.plan import Plan
from sweeps.planning.search.spec import THRESHOLD
from sweeps.ray_runtime import ray_settings


def check_tune_parts(plans: Sequence[Plan], address: str | None) -> None:
    """Check the searchers and schedulers of Ray Tune that plans name, without starting Ray.

    Raises:
        UserError: One does not exist, or does not take its options.
    """
    chosen = [
        plan
        for plan in plans
        if plan.scheduler is not None
        or (plan.search is not None and plan.search.algorithm != THRESHOLD)
    ]
    if not chosen:
        return
    ray_settings.configure(address)
    from sweeps.execution.guided import tune_parts  # noqa: PLC0415 - after `configure`

    for plan in chosen:
        tune_parts.check(plan)
