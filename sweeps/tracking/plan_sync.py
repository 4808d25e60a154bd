"""Create the MLflow sync of a plan."""

from __future__ import annotations

from factorlab.parsing import flatten
from sweeps.planning.plan import Plan
from sweeps.tracking.mlflow_sync import MlflowSync
from sweeps.tracking.run_logging import TrackedTrial


def mlflow_sync_of(plan: Plan) -> MlflowSync:
    """Return an `MlflowSync` for the sweep of a plan."""
    return MlflowSync(
        runs=plan.runs,
        sweep=plan.sweep,
        experiment=plan.experiment,
        profile=plan.profile,
        trials=[
            TrackedTrial(
                key=trial.key,
                name=trial.name,
                parameters={k: str(v) for k, v in flatten(trial.settings).items()},
            )
            for trial in plan.trials
        ],
    )
