"""The threshold search of a plan: what its records say, and what is left to do."""

from __future__ import annotations

import itertools
import math
from collections import Counter

from analysis.scaling.threshold_curves import SEED, Curve
from analysis.scaling.threshold_search import ThresholdSearch
from factorlab.config import Shape
from factorlab.errors import UserError
from sweeps.planning.experiment import settings_at
from sweeps.planning.plan import Outlook, Plan, PlannedTrial
from sweeps.planning.search import picked
from sweeps.planning.search.curves import axis_of, curves_of, options_of
from sweeps.planning.search.spec import check_metric

PER_CURVE = 2
"""Maximum number of runs of one curve in a pack. In simulation, a search whose runs come in pairs
needs 1.3 times as many, in fours 1.5 times and in eights twice as many."""


def of_plan(plan: Plan) -> ThresholdSearch:
    """Return the threshold search of a plan, which knows the records of all its trials.

    Raises:
        UserError: An option of the search is not allowed.
    """
    options = options_of(plan)
    assert plan.search is not None
    metric, axis = plan.search.metric, axis_of(options, plan.values)
    search = ThresholdSearch(
        curves_of(plan, options),
        options.levels,
        math.log(options.width) if axis.log else options.width,
        axis,
        falling=options.falling,
    )
    points = picked.points(plan)
    for trial in plan.trials:
        place = search.place_of(points[trial.key])
        record = plan.record(trial)
        state = record.state()
        if place is None:
            continue
        if state == "done":
            result = record.result()
            assert result is not None
            check_metric(metric, result["metrics"], f"{plan.source}: search")
            try:
                search.measured(*place, result["metrics"][metric])
            except ValueError as error:
                raise UserError(f"{plan.source}: search.metric = {metric}: {error}") from None
        else:
            (search.lost if state == "failed" else search.started)(*place)
    return search


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
    low, middle, high = search.expected_runs(most) if simulate else (most, most, most)
    return Outlook(low=low, middle=middle, high=high)


def shape_of(plan: Plan, axis: str, curve: Curve) -> Shape | None:
    """Return the shape of the runs on a curve, None if they differ in it."""
    points = ({**curve.others, axis: value, SEED: curve.seeds[0]} for value in curve.values)
    shapes = {settings_at(plan.base, point, plan.source, plan.tied).shape for point in points}
    return shapes.pop() if len(shapes) == 1 else None


def most_together(plan: Plan) -> Counter[Shape]:
    """Return the maximum pack size of each shape of a plan with a threshold search."""
    options = options_of(plan)
    shapes = [shape_of(plan, options.axis, curve) for curve in curves_of(plan, options)]
    return Counter({shape: PER_CURVE * shapes.count(shape) for shape in shapes if shape})


def guesses(plan: Plan, count: int) -> list[PlannedTrial]:
    """Return trials like those that a threshold search will pick, to estimate how long they take.

    They take turns on all curves. Their keys, ``pick-0`` and so on, are not those of records.
    """
    options = options_of(plan)
    found = []
    for number, curve in zip(range(count), itertools.cycle(curves_of(plan, options)), strict=False):
        value = curve.values[len(curve.values) // 2]
        trial = plan.at({**curve.others, options.axis: value, SEED: curve.seeds[0]})
        found.append(trial.model_copy(update={"key": f"pick-{number}"}))
    return found
