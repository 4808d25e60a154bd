"""The searcher and the scheduler of sweeps with a search or with early stopping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.experiment import Trial

from factorlab.config import Shape
from factorlab.errors import UserError, user_message
from sweeps.execution.assignments import Assignments, Pack, tasks
from sweeps.execution.guided.early_stopping import EarlyStopping
from sweeps.execution.guided.run_search import RunSearch
from sweeps.execution.outcomes import Ended, Outcomes, RunProgress
from sweeps.execution.tune_scheduler import PackSearcher, SweepScheduler
from sweeps.planning.cost.pack_limits import ALONE, PackLimits
from sweeps.planning.plan import PlannedTrial


class PickingSearcher(PackSearcher):
    """Suggests what is waiting, then what a search picks.

    Args:
        assignments: Packs of the sweep.
        outcomes: Tells which workers are broken, and is told why the search is over.
        limit: Returns the maximum number of Tune trials at the same time.
        parallel: Maximum number of runs at the same time, None for as many as the limit allows.
        search: The search.
        limits: Range of pack sizes by shape; runs of other shapes train alone.
    """

    def __init__(
        self,
        assignments: Assignments,
        outcomes: Outcomes,
        limit: Callable[[], int],
        parallel: int | None,
        search: RunSearch,
        limits: Mapping[Shape, PackLimits],
    ) -> None:
        super().__init__(assignments, outcomes, limit)
        self._search, self._parallel, self._limits = search, parallel, limits
        assignments.expects_more = search.why_over is None
        outcomes.search = search.why_over

    def _next(self, tune_trial: str) -> Pack:
        if self._parallel is not None and self._assignments.active >= self._parallel:
            return ()
        pack = super()._next(tune_trial)
        if pack or not self._assignments.expects_more:
            return pack
        try:
            self._pick()
        except UserError as error:  # an exception would end Tune
            self._outcomes.refused = str(error)
        self._assignments.expects_more = not (self._outcomes.search or self._outcomes.refused)
        return super()._next(tune_trial)

    def _pick(self) -> None:
        """Add the next pack of the search, if there is one."""
        trials = self._search.pick_pack(lambda trial: self._range_of(trial).most)
        self._outcomes.search = self._search.why_over
        if trials and len(trials) >= self._range_of(trials[0]).fewest:
            self._assignments.add(tasks(trials))
        else:
            for trial in trials:
                self._assignments.add(tasks((trial,)))

    def _range_of(self, trial: PlannedTrial) -> PackLimits:
        """Return how many runs like a trial should train together."""
        if self._parallel is not None:  # it counts runs
            return ALONE
        return self._limits.get(trial.run.shape, ALONE)


class GuidedScheduler(SweepScheduler):
    """Tells a search and a scheduler of Ray Tune about evaluations, and does what the latter says.

    Args:
        arguments: Those of `SweepScheduler`.
        search: The search, or None.
        stopping: Early stopping, or None.
    """

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - checked by the base class
        search: RunSearch | None,
        stopping: EarlyStopping | None,
    ) -> None:
        super().__init__(*arguments)
        self._search, self._stopping = search, stopping

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401 - Tune's
        """Queue a Tune trial."""
        super().on_trial_add(tune_controller, trial)
        self._tell("on_trial_add", tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:  # noqa: ANN401
        """Return the Tune trial to start, in our order, unless the scheduler starts none."""
        stopping = self._stopping is not None
        if stopping and self._tell("choose_trial_to_run", tune_controller) is None:
            return None
        return super().choose_trial_to_run(tune_controller)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ANN401
        """Forward a report, and stop the run if the scheduler says so."""
        decision = super().on_trial_result(tune_controller, trial, result)
        if decision != self.CONTINUE:
            return decision
        try:
            for at in result["report"].at:
                if at.metrics is not None:
                    decision = self._evaluated(tune_controller, trial, at)
        except (UserError, OSError) as error:  # an exception would fail the run
            self._refuse(error)
        return decision

    def _evaluated(self, controller: Any, trial: Trial, at: RunProgress) -> str:  # noqa: ANN401
        """Handle an evaluation of a run; return what to do with the run."""
        if self._search is not None:
            self._search.report(at.key, at.step, at.metrics or {})
        if self._stopping is None:
            return str(self.CONTINUE)
        decision = self._stopping.decide(controller, trial, at)
        if decision == self.STOP:
            self._stopping.stop(at)
            if self._search is not None:
                self._search.end(at.key, "stopped", at.step, at.metrics)
            self._settle(trial, Ended(at.key, "stopped", at.accuracy))
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:  # noqa: ANN401
        """Forward a run's last report."""
        super().on_trial_complete(tune_controller, trial, result)
        if self._stopping is not None:
            self._guarded(self._stopping.complete, tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """Handle the death of a worker."""
        super().on_trial_error(tune_controller, trial)
        self._tell("on_trial_error", tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """Handle the end of a pending run."""
        self._tell("on_trial_remove", tune_controller, trial)

    def _tell(self, hook: str, *arguments: Any) -> Any:  # noqa: ANN401 - Tune's
        """Call a method of the experiment's scheduler, if there is one."""
        if self._stopping is None:
            return None
        return self._guarded(self._stopping.tell, hook, *arguments)

    def _guarded(self, method: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        """Call a method. An exception would end Tune, so it ends the sweep with its reason."""
        try:
            return method(*arguments)
        except UserError as error:
            self._refuse(error)
            return None

    def _settle(self, trial: Trial, ended: Ended) -> None:
        super()._settle(trial, ended)
        if self._search is None:
            return
        try:
            self._search.end(ended.key, ended.outcome)
            if findings := self._search.findings():
                self._listener.narrowed(findings)
        except UserError as error:
            self._refuse(error)

    def _refuse(self, error: UserError | OSError) -> None:
        self._outcomes.refused = user_message(error) or str(error)
