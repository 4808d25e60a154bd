"""Early stopping: a scheduler of Ray Tune that hears of evaluations and may stop a run."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from factorlab.errors import UserError
from sweeps.execution.guided.run_search import ask, result_of
from sweeps.execution.guided.tune_parts import ASHA
from sweeps.execution.outcomes import RunProgress
from sweeps.planning.plan import Plan
from sweeps.planning.search.spec import check_metric


class EarlyStopping:
    """Passes evaluations to a scheduler, with the optimizer step as the unit of time.

    Args:
        scheduler: The scheduler. It also picks which pending Tune trial starts next.
        plan: Plan of the sweep.
    """

    def __init__(self, scheduler: TrialScheduler, plan: Plan) -> None:
        assert plan.scheduler is not None
        self._scheduler, self._plan, self._spec = scheduler, plan, plan.scheduler
        self._where = f"{plan.source}: scheduler.algorithm = {plan.scheduler.algorithm}"
        self._last: dict[str, dict[str, Any]] = {}

    def decide(self, controller: Any, trial: Trial, at: RunProgress) -> str:  # noqa: ANN401
        """Return what to do with a run after an evaluation.

        A run at its last step is done, whatever the scheduler says.

        Args:
            controller: Tune's controller.
            trial: Tune trial of the run.
            at: Progress of the run, with metrics.

        Raises:
            UserError: The evaluation lacks the scheduler's metric, or the scheduler fails or wants
                to pause the run.
        """
        metrics = at.metrics or {}
        check_metric(self._spec.metric, metrics, f"{self._plan.source}: scheduler")
        result = self._last[trial.trial_id] = result_of(at.step, metrics)
        decision = self.tell("on_trial_result", controller, trial, result)
        if decision == TrialScheduler.PAUSE:
            raise UserError(
                f"{self._where}: it pauses runs; use one that stops them, such as {ASHA}"
            )
        return str(decision if at.step < at.steps else TrialScheduler.CONTINUE)

    def complete(self, controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """Tell the scheduler that a run ended.

        Raises:
            UserError: The scheduler raises an exception.
        """
        result = self._last.pop(trial.trial_id, {})
        self.tell("on_trial_complete", controller, trial, result)

    def tell(self, hook: str, *arguments: Any) -> Any:  # noqa: ANN401 - Tune's
        """Call a method of the scheduler and return its answer.

        Raises:
            UserError: The scheduler raises an exception.
        """
        return ask(self._where, getattr(self._scheduler, hook), *arguments)

    def stop(self, at: RunProgress) -> None:
        """Note in the record of a run that it was stopped."""
        name = self._spec.algorithm.rpartition(".")[2]
        self._plan.record_of(at.key).write_stopped(at.step, name)
