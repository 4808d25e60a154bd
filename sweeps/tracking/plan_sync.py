"""Create the MLflow sync of a plan."""

from __future__ import annotations

from factorlab.parsing import flatten
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.search import continuation
from sweeps.tracking.mlflow_sync import MlflowSync
from sweeps.tracking.run_logging import TrackedTrial


def mlflow_sync_of(plan: Plan) -> MlflowSync:
    """Return an `MlflowSync` for the sweep of a plan."""
    return MlflowSync(
        runs=plan.runs,
        sweep=plan.sweep,
        experiment=plan.experiment,
        profile=plan.profile,
        trials=[tracked(trial) for trial in plan.trials],
        searches=continuation.may_pick(plan),
    )


def tracked(trial: PlannedTrial) -> TrackedTrial:
    """Return a trial as it is shown in MLflow."""
    return TrackedTrial(
        key=trial.key,
        name=trial.name,
        parameters={k: str(v) for k, v in flatten(trial.settings).items()},
    )
