"""The curves of a threshold search: what it varies, and the values that it may try.

A curve is accuracy against one axis, at fixed values of the others. `seed` is no axis of its own:
runs that differ in the seed alone repeat the same point of a curve.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationError

from analysis.scaling.threshold_curves import SEED, SUBSAMPLE, Axis, Curve
from factorlab.config import RunSettings, Settings
from factorlab.data.dataset import build, evaluation_label_count
from factorlab.errors import UserError, describe
from factorlab.parsing import annotation_of
from sweeps.planning.plan import Plan
from sweeps.planning.search.picked import Point
from sweeps.planning.search.spec import THRESHOLD, Axes, AxisRange

_LINEAR_VALUES = 100
"""Maximum number of values of a uniform range."""


class ThresholdOptions(Settings):
    """What a threshold search looks for; the value of `search.threshold` in an experiment file."""

    axis: str = SUBSAMPLE
    """Axis along which the metric crosses the level, by dotted key."""

    level: float | list[float] = 0.6
    """Value of the metric to be crossed, or several."""

    falling: bool = False
    """Whether the metric falls along the axis."""

    scale: Literal["log", "linear"] | None = None
    """Whether the metric is logistic in the logarithm of the axis or in its value; by default the
    logarithm for `data.subsample` and for a loguniform range."""

    width: float = Field(default=1.35, gt=0)
    """Width of the 90 % interval at which a crossing counts as found: on a logarithmic scale the
    ratio of its ends, on a linear one their difference."""

    prior: Literal["none", "percolation", "nearest"] = "none"
    """Where to expect the crossings before any run, on the axis `data.subsample`: anywhere, where
    overlapping bumps percolate, or where copying the nearest example reaches the level
    (`analysis/scaling/first_guess.py`). Runs overrule it."""

    @property
    def levels(self) -> list[float]:
        """All levels."""
        return self.level if isinstance(self.level, list) else [self.level]


def options_of(plan: Plan) -> ThresholdOptions:
    """Return the options of a plan's threshold search.

    Raises:
        UserError: An option is not allowed, or the axis or the seed is not an axis of the sweep.
    """
    assert plan.search is not None
    where = f"{plan.source}: search"
    try:
        # Through JSON, in which pydantic is less strict about whole numbers.
        options = ThresholdOptions.model_validate_json(json.dumps(plan.search.options))
    except ValidationError as error:
        raise UserError(describe(error, ThresholdOptions, where, THRESHOLD)) from None
    if plan.scheduler is not None:
        raise UserError(f"{plan.source}: scheduler: a threshold search needs runs to their end")
    if options.axis not in plan.values:
        raise UserError(f"{where}.{THRESHOLD}: needs the axis {options.axis}")
    if SEED not in plan.values or isinstance(plan.values[SEED], AxisRange):
        raise UserError(f"{where}.{THRESHOLD}: needs the axis {SEED} with a list of values")
    others = plan.values.keys() - {options.axis}
    ranges = sorted(key for key in others if isinstance(plan.values[key], AxisRange))
    if ranges:
        raise UserError(f"{where}.{THRESHOLD}: axes.{ranges[0]} is a range; allowed: a list")
    if not options.levels or not all(0.05 <= level <= 0.95 for level in options.levels):
        raise UserError(f"{where}.{THRESHOLD}.level: allowed: from 0.05 to 0.95")
    if options.axis == SEED:
        raise UserError(f"{where}.{THRESHOLD}.axis: the seed repeats runs; choose another axis")
    log = axis_of(options, plan.values).log
    if log and values_of(plan, options.axis)[0] <= 0:
        raise UserError(
            f"{plan.source}: axes.{options.axis}: a logarithmic scale needs values above 0"
        )
    if options.prior != "none" and (options.axis != SUBSAMPLE or options.falling or not log):
        raise UserError(
            f"{where}.{THRESHOLD}.prior: theories expect a rise along {SUBSAMPLE}, on a "
            "logarithmic scale; allowed: 'none'"
        )
    if log and options.width <= 1:
        raise UserError(f"{where}.{THRESHOLD}.width: a ratio; allowed: above 1")
    return options


def axis_of(options: ThresholdOptions, axes: Axes) -> Axis:
    """Return the axis of a search.

    Args:
        options: Options of the search.
        axes: Values by axis.
    """
    values = axes[options.axis]
    loguniform = isinstance(values, AxisRange) and values.kind == "loguniform"
    log = options.axis == SUBSAMPLE or loguniform
    return Axis(options.axis, log if options.scale is None else options.scale == "log")


def curves_of(plan: Plan, options: ThresholdOptions) -> list[Curve]:
    """Return the curves of a plan.

    Raises:
        UserError: A value is not allowed.
    """
    names = [key for key in plan.values if key not in (options.axis, SEED)]
    lists = [_distinct(candidates(plan.values[key])) for key in names]  # lists; see `options_of`
    seeds = tuple(_distinct(candidates(plan.values[SEED])))
    values = values_of(plan, options.axis)
    found = []
    for point in itertools.product(*lists):
        others = dict(zip(names, point, strict=True))
        first = {**others, options.axis: values[-1], SEED: seeds[0]}
        settings = plan.at(first).run
        at = _positions(settings, options, values, log=axis_of(options, plan.values).log)
        positions = sorted(at)
        if len(positions) < 2:
            raise UserError(f"{plan.source}: axes.{options.axis}: fewer than two values to try")
        places = {value: i for i, position in enumerate(positions) for value in at[position]}
        first_values = tuple(at[position][0] for position in positions)
        labels = evaluation_label_count(settings.data, settings.evaluation)
        guesses = _guesses(settings, options, plan.source)
        found.append(Curve(others, first_values, places, tuple(positions), seeds, labels, guesses))
    return found


def _guesses(settings: RunSettings, options: ThresholdOptions, source: str) -> dict[float, float]:
    """Return where the prior expects a curve to cross each level, in log(samples).

    Raises:
        UserError: The theory does not apply to the runs.
    """
    if options.prior == "none":
        return {}
    from analysis.scaling.first_guess import first_guess, refusal  # noqa: PLC0415 - takes a second

    reason = refusal(settings, options.prior)
    if reason is not None:
        raise UserError(f"{source}: search.{THRESHOLD}.prior = {options.prior}: {reason}")
    found = {level: first_guess(settings, options.prior, level) for level in options.levels}
    return {level: math.log(samples) for level, samples in found.items() if samples is not None}


def _positions(
    settings: RunSettings, options: ThresholdOptions, values: list[Any], *, log: bool
) -> dict[float, list[Any]]:
    """Return the values at each position."""
    sites = 0
    if options.axis == SUBSAMPLE:
        whole = settings.data.model_copy(update={"subsample": 1.0})
        full = build(whole, settings.seed)
        sites = full.samples_2d or full.samples_total
    places: dict[float, list[Any]] = {}
    for value in values:
        amount = math.floor(value * sites + 0.5) if sites else value  # as the data set is thinned
        if sites and amount == 0:
            continue
        places.setdefault(math.log(amount) if log else float(amount), []).append(value)
    return places


def values_of(plan: Plan, axis: str) -> list[Any]:
    """Return the values along the axis of a search, sorted; whole numbers if it takes only these.

    Raises:
        UserError: A value is no number.
    """
    values = candidates(plan.values[axis])
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise UserError(
            f"{plan.source}: axes.{axis}: a threshold search needs numbers along its axis"
        )
    if isinstance(plan.values[axis], AxisRange) and annotation_of(axis) is int:
        values = [round(value) for value in values]
    return sorted(set(values))


def _distinct(values: list[Any]) -> list[Any]:
    """Return values without repetitions; they may be lists and mappings."""
    return [value for i, value in enumerate(values) if value not in values[:i]]


def candidates(values: list[Any] | AxisRange) -> list[Any]:
    """Return the values of an axis that a search may try: all of a list, some of a range.

    Values of a range have few digits, so that searches and grids share runs: two significant digits
    on a logarithmic scale, and steps of 1, 2 or 5 times a power of ten on a linear one.
    """
    if not isinstance(values, AxisRange):
        return values
    low, high = values.ends
    if values.kind == "loguniform":
        found = [
            float(f"{digits}e{power - 1}")
            for power in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
            for digits in range(10, 100)
        ]
        return [low, *(value for value in found if low < value < high), high]
    if low == high:
        return [low]
    raw = (high - low) / _LINEAR_VALUES
    nice = [m * 10 ** math.floor(math.log10(raw)) for m in (1, 2, 5, 10)]
    step = next(one for one in nice if one >= raw * (1 - 1e-9))
    if values.kind == "randint":
        step = max(step, 1)
    count = math.floor((high - low) / step * (1 + 1e-9)) + 1
    found = [float(f"{low + step * i:.12g}") for i in range(count)]
    return [int(value) for value in found] if values.kind == "randint" else found


def points_of(curve: Curve, axis: str) -> Iterator[Point]:
    """Yield every point on a curve that a search can use."""
    for value in curve.places:
        for seed in curve.seeds:
            yield {**curve.others, axis: value, SEED: seed}
