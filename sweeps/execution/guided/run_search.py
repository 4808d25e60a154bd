"""A search that picks runs: the searcher of Ray Tune, the records, and what it has picked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ray.tune.result import TRAINING_ITERATION
from ray.tune.search import Searcher

from factorlab.errors import UserError
from sweeps.execution.guided.threshold_searcher import ThresholdSearcher
from sweeps.execution.listener import KnownCrossing
from sweeps.execution.outcomes import Outcome
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.search import picked
from sweeps.planning.search.picked import Point
from sweeps.planning.search.spec import SearchSpec, check_metric

REPEATS = 100
"""Picks in a row without a new trial, after which a search ends: it has converged or its axes are
used up."""


class RunSearch:
    """Asks a searcher for points and tells it their results.

    A point whose trial is done is told its result at once, so that a search that was stopped costs
    nothing again.

    Args:
        searcher: The searcher.
        plan: Plan of the search, with all trials that were picked before.
        announce: Called with each new trial before it is trained.
    """

    def __init__(
        self, searcher: Searcher, plan: Plan, announce: Callable[[PlannedTrial], None]
    ) -> None:
        assert plan.search is not None
        self._searcher, self._plan, self._announce = searcher, plan, announce
        self._spec: SearchSpec = plan.search
        self._where = f"{plan.source}: search.algorithm = {plan.search.algorithm}"
        self._ids: dict[str, list[str]] = defaultdict(list)  # of the searcher, by key of a trial
        self._count = 0
        self.why_over: str | None = None
        """Why the search picks no further trial, or None."""

        self._points = picked.points(plan)
        self._earlier = set(self._points)
        """Keys of trials of earlier commands that the searcher has not picked again."""

        self._budget = plan.state().budget()
        for key in self._points:
            self._teach(key)
        self._check_budget()

    def _check_budget(self) -> None:
        outlook = self._plan.outlook
        if outlook is not None and outlook.over is not None:
            self.why_over = outlook.over
        else:
            self.why_over = self._budget.over()

    def pick_pack(self, most: Callable[[PlannedTrial], int]) -> list[PlannedTrial]:
        """Return new trials of one shape to train together; see `pick`.

        Args:
            most: Returns the maximum pack size for a trial.
        """
        first = self.pick()
        if first is None:
            return []
        pack = [first]
        while len(pack) < most(first) and (trial := self._beside(pack)) is not None:
            pack.append(trial)
        return pack

    def _beside(self, pack: Sequence[PlannedTrial]) -> PlannedTrial | None:
        """Return a new trial that is worth training together with others, or None."""
        if self.why_over is not None or not isinstance(self._searcher, ThresholdSearcher):
            return None
        self._count += 1
        name = f"pick-{self._count}"
        points = [self._points[trial.key] for trial in pack]
        point = ask(self._where, self._searcher.suggest_beside, name, points)
        if point is None:
            return None
        try:
            return self._new(name, point)
        except UserError:  # the point is not allowed
            self._complete(name, None)
            return None

    def pick(self) -> PlannedTrial | None:
        """Return a new trial; None if the searcher waits for results or the search is over.

        A searcher begins anew in each command and may pick again what it picked in an earlier one.
        The first time, that is no repetition: it was new when it was picked.
        """
        repeated = refused = 0
        while repeated + refused < REPEATS:
            if self.why_over is not None:
                return None
            earlier = len(self._earlier)
            self._count += 1
            name = f"pick-{self._count}"
            point = ask(self._where, self._searcher.suggest, name)
            if point is None:
                return None
            if point == Searcher.FINISHED:
                self._end("the algorithm is finished")
                return None
            try:
                trial = self._new(name, _plain(point))
            except UserError:  # the point is not allowed
                refused += 1
                self._complete(name, None)
                continue
            if trial is not None:
                return trial
            repeated += 1
            if len(self._earlier) < earlier:
                repeated = refused = 0
        self._end(
            f"of the last {REPEATS} picks, {repeated} were trials that it had picked before, and "
            f"{refused} are not allowed"
        )
        return None

    def _end(self, why: str) -> None:
        """Pick no further trial, and save the reason for those who follow the sweep."""
        self.why_over = why
        with suppress(OSError):  # the search itself does not need it
            picked.conclude(self._plan, why)

    def _complete(self, name: str, result: dict[str, Any] | None) -> None:
        """Tell the searcher how one of its points ended; without a result, it failed."""
        told = {"error": True} if result is None else {"result": result}
        ask(self._where, self._searcher.on_trial_complete, trial_id=name, **told)

    def _new(self, name: str, point: Point) -> PlannedTrial | None:
        """Return the trial of a picked point, None if it is known.

        Raises:
            UserError: The point is not allowed.
        """
        trial = self._plan.at(point)
        if trial.key in self._points:
            self._earlier.discard(trial.key)
            result = self._result(trial.key)
            if result is None:  # it is being trained
                self._ids[trial.key].append(name)
            else:
                self._complete(name, result)
            return None
        self._ids[trial.key].append(name)
        self._points[trial.key] = point
        self._budget.picked(trial.run.training.steps)
        self._check_budget()
        picked.append(self._plan, point, trial)
        self._announce(trial)
        return trial

    def report(self, key: str, step: int, metrics: Mapping[str, float]) -> None:
        """Tell the searcher of an evaluation while a trial trains.

        Raises:
            UserError: The evaluation lacks the metric of the search.
        """
        check_metric(self._spec.metric, metrics, f"{self._plan.source}: search")
        for name in self._ids[key]:
            ask(self._where, self._searcher.on_trial_result, name, result_of(step, metrics))

    def end(
        self, key: str, outcome: Outcome, step: int = 0, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Tell the searcher how a trial ended.

        Args:
            key: Key of the trial.
            outcome: How it ended.
            step: Optimizer steps done, of a trial that was stopped early.
            metrics: Metrics of its last evaluation, of a trial that was stopped early.
        """
        if outcome == "stopped" and metrics is not None:
            result: dict[str, Any] | None = result_of(step, metrics)
        else:
            result = self._result(key) if outcome == "done" else None
        if result is not None:
            self._spend(key)
        names = self._ids.pop(key, [])
        if not names:  # it was picked by an earlier command
            self._teach(key, ended=True)
        for name in names:
            self._complete(name, result)

    def _spend(self, key: str) -> None:
        """Count the time of a run that has ended."""
        ended = self._plan.record_of(key).result()
        if ended is not None and self.why_over is None:
            self._budget.ended(ended["seconds"])
            self._check_budget()

    def findings(self) -> list[KnownCrossing]:
        """Return what a threshold search knows; nothing for other searches."""
        known = isinstance(self._searcher, ThresholdSearcher)
        return self._searcher.findings() if known else []

    def _result(self, key: str) -> dict[str, Any] | None:
        """Return the result of a finished trial, None if it has none.

        Raises:
            UserError: It lacks the metric of the search.
        """
        record = self._plan.record_of(key)
        result = record.result() if record.state() == "done" else None
        if result is None:
            return None
        check_metric(self._spec.metric, result["metrics"], f"{self._plan.source}: search")
        return result_of(result["steps"], result["metrics"])

    def _teach(self, key: str, *, ended: bool = False) -> None:
        """Tell the searcher of a trial of an earlier command or sweep.

        Args:
            key: Key of the trial.
            ended: Whether this command trains it no further.
        """
        point, result = self._points[key], self._result(key)
        if result is None:
            if isinstance(self._searcher, ThresholdSearcher):
                lost = ended or self._plan.record_of(key).state() == "failed"
                self._searcher.add_unfinished_point(point, lost=lost)
            return
        if type(self._searcher).add_evaluated_point is Searcher.add_evaluated_point:
            return  # this searcher cannot learn from them
        value = result[self._spec.metric]
        ask(self._where, self._searcher.add_evaluated_point, point, value)


def result_of(step: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return an evaluation as a result of Ray Tune, with the optimizer step as the iteration."""
    return {**metrics, TRAINING_ITERATION: step}


def ask(where: str, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
    """Return what a part of Ray Tune answers.

    Args:
        where: File and key that name the part, for the message.
        method: Method of the part.
        arguments: Its arguments.
        options: Its arguments by name.

    Raises:
        UserError: The part raises an exception. An exception in one of Tune's hooks would end the
            sweep with an error of Ray.
    """
    try:
        return method(*arguments, **options)
    except Exception as error:
        raise UserError(f"{where}: {type(error).__name__}: {error}") from None


def _plain(point: Mapping[str, Any]) -> Point:
    """Return a point of plain Python values; searchers may return numpy's."""
    return {key: value.item() if hasattr(value, "item") else value for key, value in point.items()}
