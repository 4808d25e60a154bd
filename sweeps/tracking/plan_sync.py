"""Create the MLflow sync of a plan."""

from __future__ import annotations

from factorlab.config import RunSettings
from factorlab.formatting import listed
from factorlab.parsing import flatten
from sweeps.planning.command import command_of, descriptions
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.search import continuation
from sweeps.planning.search.spec import AxisRange, AxisValues
from sweeps.tracking.mlflow_sync import MlflowSync
from sweeps.tracking.presentation.about import SweepAbout
from sweeps.tracking.run_logging import TrackedTrial

_DEFAULTS = flatten(RunSettings().model_dump(mode="json"))


def mlflow_sync_of(plan: Plan) -> MlflowSync:
    """Return an `MlflowSync` for the sweep of a plan."""
    return MlflowSync(
        runs=plan.runs,
        sweep=plan.sweep,
        experiment=plan.experiment,
        profile=plan.profile,
        trials=[tracked(trial, plan) for trial in plan.trials],
        about=SweepAbout(
            command=command_of(plan),
            purpose=descriptions(plan),
            axes={key: _values(values) for key, values in plan.values.items()},
        ),
        searches=continuation.may_pick(plan),
    )


def _values(values: AxisValues) -> str:
    """Return the values of an axis as text."""
    return str(values) if isinstance(values, AxisRange) else listed(values)


def tracked(trial: PlannedTrial, plan: Plan) -> TrackedTrial:
    """Return a trial as it is shown in MLflow.

    Its parameters are the values on the axes and the settings that differ from their defaults, so
    that they can be read. The artifact `config.json` has all settings.
    """
    settings = flatten(trial.settings)
    swept = [key for axis in plan.values for key in settings if f"{key}.".startswith(f"{axis}.")]
    others = [key for key, value in settings.items() if _DEFAULTS.get(key, ...) != value]
    return TrackedTrial(
        key=trial.key,
        name=trial.name,
        parameters={key: str(settings[key]) for key in dict.fromkeys([*swept, *others])},
    )
