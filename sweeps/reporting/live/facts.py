"""What the live view knows of a sweep from its plan and its records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeGuard

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
        before=left.before,
        slots=left.slots,
        resumed=frozenset(trial.key for trial in state.select("resumable")),
        sketch=None if axes is None else axes.sketch(state),
        places={} if axes is None else axes.places(state.plan.trials),
    )


@dataclass(frozen=True)
class SketchAxes:
    """The axes of the sketch."""

    x: str
    """Lambda, or the numeric axis with the most values."""

    ends: tuple[float, float]
    """Smallest and largest value of that axis."""

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
        values = plan.values[x]
        low, high = values.ends if isinstance(values, AxisRange) else (min(values), max(values))
        group = "data.family" if "data.family" in few else next(iter(few), None)
        return cls(x, (float(low), float(high)), group)

    def place(self, trial: PlannedTrial) -> tuple[float, str] | None:
        """Return where a trial lies: its value on the axis, and its group.

        Return None for a trial that is not on the axis, such as one of another grid, in which the
        setting has no value, has a pair, or has its default outside of the axis.
        """
        settings = flatten(trial.settings)
        at = settings.get(self.x)
        if not _is_number(at) or not self.ends[0] <= at <= self.ends[1]:
            return None
        return float(at), "" if self.group is None else str(settings.get(self.group, ""))

    def places(self, trials: Iterable[PlannedTrial]) -> dict[str, tuple[float, str]]:
        """Return where each trial that is on the axis lies, by key."""
        found = {trial.key: self.place(trial) for trial in trials}
        return {key: place for key, place in found.items() if place is not None}

    def sketch(self, state: SweepState) -> Sketch:
        """Return a sketch with the trials that are done."""
        plan = state.plan
        groups = [] if self.group is None else map(str, _listed(plan.values[self.group]))
        done = {trial.key: trial for trial in state.select("done")}
        found = {
            key: (place, accuracy_of(plan, done[key]))
            for key, place in self.places(done.values()).items()
        }
        points = [
            Point(at, accuracy, group)
            for (at, group), accuracy in found.values()
            if accuracy is not None
        ]
        return Sketch(self.x, self.ends, list(groups), points)


def _numeric(values: AxisValues) -> bool:
    """Return whether an axis has at least two values, all of them numbers."""
    if isinstance(values, AxisRange):
        return True
    return all(map(_is_number, values)) and len(set(values)) > 1


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


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
