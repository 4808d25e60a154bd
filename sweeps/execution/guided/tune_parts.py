"""Make the searcher and the scheduler of Ray Tune that an experiment names."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.result import TRAINING_ITERATION
from ray.tune.schedulers import (
    HyperBandScheduler,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    ResourceChangingScheduler,
    TrialScheduler,
)
from ray.tune.search import Searcher

from factorlab.errors import UserError
from factorlab.formatting import listed
from sweeps.execution.guided.run_search import ask
from sweeps.execution.guided.threshold_searcher import ThresholdSearcher
from sweeps.planning.plan import Plan
from sweeps.planning.search import picked
from sweeps.planning.search.spec import (
    RANDOM,
    THRESHOLD,
    Axes,
    AxisRange,
    SchedulerSpec,
    SearchSpec,
)

ASHA = "ray.tune.schedulers.ASHAScheduler"

_CHANGING = (PopulationBasedTraining, PopulationBasedTrainingReplay, ResourceChangingScheduler)
"""Schedulers that change a run's settings or resources while it trains. A record has one key."""

_PAUSING = (HyperBandScheduler,)
"""Schedulers that pause runs until others have come as far. Paused runs would wait in memory of
the driver, and for workers that no longer exist."""


class RandomSearch(Searcher):  # type: ignore[misc]  # Ray has no types
    """Draws independent points, in each command the same. `RunSearch` skips those drawn before.

    Args:
        axes: Values by axis.
        seed: Random seed.
    """

    def __init__(self, axes: Axes, seed: int) -> None:
        super().__init__()
        self._axes, self._seed, self._number = axes, seed, 0

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Return the next point."""
        self._number += 1
        return picked.draw(self._axes, self._seed, self._number - 1)

    def on_trial_complete(self, trial_id: str, **_: Any) -> None:  # noqa: ANN401
        """Learn nothing."""

    def add_evaluated_point(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Learn nothing."""


def check(plan: Plan) -> None:
    """Make the parts that a plan names once, to find mistakes before anything starts.

    Raises:
        UserError: A class does not exist, lacks a library, or does not take these options.
    """
    if plan.search is not None and plan.search.algorithm != THRESHOLD:
        searcher(plan)
    if plan.scheduler is not None:
        scheduler(plan.scheduler, plan.most_steps, plan.source)


def searcher(plan: Plan) -> Searcher:
    """Return the searcher of a plan with a search.

    Raises:
        UserError: The class does not exist, lacks a library, or does not take these options.
    """
    spec, axes = plan.search, plan.values
    assert spec is not None
    where = f"{plan.source}: search"
    if spec.algorithm == THRESHOLD:
        return ThresholdSearcher(plan)
    if spec.algorithm == RANDOM:
        seed = spec.options.get("seed", 0)
        unknown = spec.options.keys() - {"seed"}
        if unknown or not isinstance(seed, int) or seed < 0:
            raise UserError(
                f"{where}.options: allowed for random: seed, a whole number of at least 0"
            )
        return RandomSearch(axes, seed)
    made = _make(_class(spec.algorithm, Searcher, where), spec, spec.options, where)
    logging.getLogger("optuna").setLevel(logging.WARNING)  # it announces every study
    space = {key: _domain(values) for key, values in axes.items()}
    if not ask(f"{where}.options", made.set_search_properties, spec.metric, spec.mode, space):
        raise UserError(f"{where}.algorithm = {spec.algorithm}: it does not take these axes")
    return made


def scheduler(spec: SchedulerSpec, steps: int, source: str) -> TrialScheduler:
    """Return the scheduler that an experiment names.

    Args:
        spec: The experiment's `scheduler`.
        steps: Largest number of steps of a run, the scheduler's `max_t` unless it is given.
        source: Name or file of the experiment, for error messages.

    Raises:
        UserError: The class does not exist, changes settings, or does not take these options.
    """
    where = f"{source}: scheduler"
    cls = _class(spec.algorithm, TrialScheduler, where)
    if issubclass(cls, (*_CHANGING, *_PAUSING)):
        what = "pauses runs" if issubclass(cls, _PAUSING) else "changes settings while a run trains"
        raise UserError(
            f"{where}.algorithm = {spec.algorithm}: it {what}; use a scheduler that only stops "
            f"runs, such as {ASHA}"
        )
    if spec.options.get("time_attr", TRAINING_ITERATION) != TRAINING_ITERATION:
        raise UserError(f"{where}.options.time_attr: the unit of time is the step; remove it")
    own = {"time_attr": TRAINING_ITERATION, "max_t": steps}
    taken = {name: own[name] for name in own.keys() & inspect.signature(cls).parameters.keys()}
    made = _make(cls, spec, {**taken, **spec.options}, where)
    if not made.set_search_properties(spec.metric, spec.mode):
        raise UserError(f"{where}.algorithm = {spec.algorithm}: it takes no metric")
    return made


def _domain(values: list[Any] | AxisRange) -> Any:  # noqa: ANN401 - Ray has no types
    if not isinstance(values, AxisRange):
        return tune.choice(values)
    if values.kind == "randint":
        return tune.randint(int(values.low), int(values.high))
    return getattr(tune, values.kind)(values.low, values.high)


def _class(name: str, base: type, where: str) -> type:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        found = None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UserError(f"{where}.algorithm = {name}: Ray Tune has no such {base.__name__.lower()}")
    return found


def _make(
    cls: type, spec: SearchSpec | SchedulerSpec, options: Mapping[str, Any], where: str
) -> Any:  # noqa: ANN401 - Ray has no types
    known = inspect.signature(cls).parameters
    options = {**({"seed": 0} if "seed" in known else {}), **options}
    given = {"metric", "mode", "space"} & options.keys()
    if given:
        raise UserError(f"{where}.options: {min(given)} is given by the experiment; remove it")
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise UserError(f"{where}.options: unknown key '{unknown[0]}'; allowed: {listed(known)}")
    try:
        return cls(**options)
    except AssertionError as error:  # how Ray says that a library is missing
        raise UserError(f"{where}.algorithm = {spec.algorithm}: {error}") from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"{where}.options: {error}") from None
