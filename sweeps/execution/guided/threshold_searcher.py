"""The threshold search as a searcher of Ray Tune."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ray.tune.search import Searcher

from analysis.scaling.threshold_curves import SEED
from sweeps.execution.listener import KnownCrossing
from sweeps.planning.plan import Plan
from sweeps.planning.search.picked import Point
from sweeps.planning.search.threshold import PER_CURVE, of_plan, shape_of


class ThresholdSearcher(Searcher):  # type: ignore[misc]  # Ray has no types
    """Suggests the runs that narrow the crossings of a sweep most.

    Args:
        plan: Plan of a sweep with a threshold search.

    Raises:
        UserError: An option of the search is not allowed.
    """

    def __init__(self, plan: Plan) -> None:
        assert plan.search is not None
        super().__init__(metric=plan.search.metric, mode=plan.search.mode)
        self._search = of_plan(plan)
        self._given: dict[str, tuple[int, int, int]] = {}
        axis = self._search.axis.key
        self._shapes = [shape_of(plan, axis, curve) for curve in self._search.curves]

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401 - Tune's
        """Return the next point, or that the search is finished."""
        place = self._search.suggest()
        if place is None:
            return None if self._search.pending else self.FINISHED
        return self._give(trial_id, place)

    def suggest_beside(self, trial_id: str, pack: Sequence[Point]) -> Point | None:
        """Return a point whose run is worth training together with others.

        At most `PER_CURVE` runs of a pack are of one curve, since runs that train together cannot
        learn from each other.

        Args:
            trial_id: Name of the run.
            pack: Points of the other runs.
        """
        places = [self._search.place_of(point) for point in pack]
        counts = Counter(place[0] for place in places if place is not None)
        shapes = {self._shapes[curve] for curve in counts}
        among = [
            curve
            for curve, shape in enumerate(self._shapes)
            if shape is not None and shape in shapes and counts[curve] < PER_CURVE
        ]
        place = self._search.suggest(among)
        return None if place is None else self._give(trial_id, place)

    def _give(self, trial_id: str, place: tuple[int, int, int]) -> Point:
        self._given[trial_id] = place
        return self._point(*place)

    def _point(self, index: int, place: int, seed: int) -> Point:
        curve = self._search.curves[index]
        return {**curve.others, self._search.axis.key: curve.values[place], SEED: seed}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn the result of a run, or that it failed."""
        place = self._given.pop(trial_id)
        if error or result is None:
            self._search.lost(*place)
        else:
            self._search.measured(*place, float(result[self.metric]))

    def add_evaluated_point(self, parameters: Point, value: float, **_: Any) -> None:  # noqa: ANN401
        """Learn the result of a run of an earlier command or sweep."""
        place = self._search.place_of(parameters)
        if place is not None:
            self._search.measured(*place, float(value))

    def add_unfinished_point(self, parameters: Point, *, lost: bool) -> None:
        """Learn of a run that an earlier command has picked and not finished.

        Args:
            parameters: The point.
            lost: Whether it failed, or cannot be trained now. If not, this command trains it.
        """
        place = self._search.place_of(parameters)
        if place is not None:
            (self._search.lost if lost else self._search.started)(*place)

    def findings(self) -> list[KnownCrossing]:
        """Return what is known of every crossing."""
        return [KnownCrossing.of(finding) for finding in self._search.findings()]
