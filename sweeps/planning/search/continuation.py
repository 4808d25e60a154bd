"""What a search goes on from: the trials that it has picked, and those of earlier sweeps."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from factorlab.errors import UserError
from factorlab.storage.record import recorded
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.search import picked
from sweeps.planning.search.curves import curves_of, options_of, points_of
from sweeps.planning.search.picked import Point
from sweeps.planning.search.spec import THRESHOLD
from sweeps.planning.search.threshold import outlook_of


def continued(plan: Plan, *, simulate: bool = True) -> Plan:
    """Return a new plan of a search with what it goes on from; other plans unchanged.

    Trials whose key has changed since are left out, for example after the numerics were raised.

    Args:
        plan: The plan.
        simulate: Whether to simulate how many runs a threshold search still needs, which takes
            seconds.

    Raises:
        UserError: A value at the end of an axis is not allowed.
    """
    if plan.search is None:
        return plan
    threshold = plan.search.algorithm == THRESHOLD
    if not threshold:
        picked.check_ends(plan)
    found = picked.on_axes(plan).items()
    chosen = [trial for key, (at, trial) in found if _key(plan, at) == key]
    if not threshold:
        return plan.with_trials(chosen)
    adopted = _adopted(plan, {trial.key for trial in chosen})
    whole = plan.with_trials([*adopted, *chosen])
    return whole.model_copy(update={"outlook": outlook_of(whole, simulate=simulate)})


def restore(plan: Plan) -> Plan:
    """Return a saved plan of a search with what it has picked; other plans unchanged."""
    if plan.search is None:
        return plan
    adopted = [trial for trial in plan.trials if trial.adopted is not None]
    return plan.with_trials([*adopted, *(trial for _, trial in picked.on_axes(plan).values())])


def may_pick(plan: Plan) -> bool:
    """Return whether the search of a plan may pick further trials; False without a search."""
    if plan.search is not None and picked.over(plan) is not None:
        return False
    if plan.search is not None and plan.search.algorithm == THRESHOLD and plan.outlook is None:
        plan = plan.model_copy(update={"outlook": outlook_of(plan, simulate=False)})
    return plan.state().to_pick > 0


def _key(plan: Plan, point: Point) -> str | None:
    """Return the key of a point in this version, None if its settings are not allowed."""
    try:
        return plan.at(point).key
    except UserError:
        return None


def _adopted(plan: Plan, known: Collection[str]) -> list[PlannedTrial]:
    """Return the finished trials of earlier sweeps that a threshold search can use.

    Args:
        plan: The plan.
        known: Keys of the trials that the search has picked.
    """
    others = recorded(plan.runs) - set(known)
    if not others:  # checking every point would take seconds
        return []
    options = options_of(plan)
    found = []
    for curve in curves_of(plan, options):
        for point in points_of(curve, options.axis):
            with suppress(UserError):  # not every point of the axes is allowed
                trial = plan.at(point)
                if trial.key in others and plan.record(trial).state() == "done":
                    found.append(trial.model_copy(update={"adopted": point}))
    return found
