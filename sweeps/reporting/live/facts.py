"""What the live view knows of a sweep from its plan and its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from factorlab.parsing import flatten
from factorlab.storage.files import DamagedFile, reason_of
from sweeps.planning.cost.estimate import Estimate
from sweeps.planning.plan import Plan, PlannedTrial, SweepState
from sweeps.planning.search.spec import AxisRange, AxisValues
from sweeps.reporting.live.display import SweepFacts
from sweeps.reporting.live.sketch import Point, Sketch

SUBSAMPLE, SEED = "data.subsample", "seed"
MOST_GROUPS = 8


def facts_of(state: SweepState, left: Estimate) -> SweepFacts:
    """Return what the display needs to know before a sweep starts.

    Args:
        state: State of the sweep.
        left: Estimate for the pending trials.
    """
    axes = SketchAxes.of(state.plan)
    return SweepFacts(
        total=len(state.plan.trials) + state.expected_picks,
        done=state.counts()["done"],
        seconds=left.seconds,
        slots=left.slots,
        resumed=frozenset(trial.key for trial in state.select("resumable")),
        sketch=None if axes is None else axes.sketch(state),
        places={} if axes is None else {t.key: axes.place(t) for t in state.plan.trials},
    )


@dataclass(frozen=True)
class SketchAxes:
    """The axes of the sketch."""

    x: str
    """Lambda, or the numeric axis with the most values."""

    group: str | None
    """Axis whose values get different symbols; None for one symbol."""

    @classmethod
    def of(cls, plan: Plan) -> SketchAxes | None:
        """Return the axes for a plan, None if no axis is numeric."""
        numeric = [key for key, values in plan.values.items() if key != SEED and _numeric(values)]
        if not numeric:
            return None
        lengths = {key: len(_listed(plan.values[key])) or MOST_GROUPS for key in numeric}
        x = SUBSAMPLE if SUBSAMPLE in numeric else max(numeric, key=lengths.__getitem__)
        others = [key for key in plan.values if key not in (SEED, x)]
        few = [key for key in others if 1 < len(_listed(plan.values[key])) <= MOST_GROUPS]
        return cls(x, "data.family" if "data.family" in few else next(iter(few), None))

    def place(self, trial: PlannedTrial) -> tuple[float, str]:
        """Return where a trial lies: its value on the axis, and its group."""
        settings = flatten(trial.settings)
        group = "" if self.group is None else str(settings.get(self.group, ""))
        return float(settings[self.x]), group

    def sketch(self, state: SweepState) -> Sketch:
        """Return a sketch with the trials that are done."""
        plan = state.plan
        values = plan.values[self.x]
        ends = values.ends if isinstance(values, AxisRange) else [min(values), max(values)]
        groups = [] if self.group is None else map(str, _listed(plan.values[self.group]))
        found = {trial.key: accuracy_of(plan, trial) for trial in state.select("done")}
        places = {trial.key: self.place(trial) for trial in state.select("done")}
        points = [
            Point(places[key][0], accuracy, places[key][1])
            for key, accuracy in found.items()
            if accuracy is not None
        ]
        return Sketch(self.x, (float(ends[0]), float(ends[1])), list(groups), points)


def _numeric(values: AxisValues) -> bool:
    """Return whether an axis has at least two values, all of them numbers."""
    if isinstance(values, AxisRange):
        return True
    numbers = [isinstance(value, Real) and not isinstance(value, bool) for value in values]
    return all(numbers) and len(set(values)) > 1


def _listed(values: AxisValues) -> Sequence[Any]:
    return () if isinstance(values, AxisRange) else values


def accuracy_of(plan: Plan, trial: PlannedTrial) -> float | None:
    """Return the accuracy of a trial that is done, None if its result cannot be read."""
    try:
        result = plan.record(trial).result()
    except (DamagedFile, OSError) as error:
        reason_of(error)
        return None
    return None if result is None else result["metrics"].get("accuracy")
