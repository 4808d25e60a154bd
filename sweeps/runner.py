"""The Ray side: a fresh `tune.Tuner` for whatever a plan has left.

Import this after `cluster.configure`, and run it between `cluster.connect` and `ray.shutdown`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

from factorlab.errors import UserError
from sweeps.display import SweepDisplay
from sweeps.estimate import Estimate
from sweeps.experiment import Resources
from sweeps.plan import Plan, PlannedTrial
from sweeps.trainable import TrialTrainable

RESTARTS = 3
"""How often a trial is given to a new worker when its worker died."""


@dataclass
class Outcomes:
    """What Tune reports of the trials that were given to it, by key."""

    ended: dict[str, str] = field(default_factory=dict)
    """`done`, `failed` or `elsewhere`."""

    errors: dict[str, str] = field(default_factory=dict)
    """Why a trial's workers died, when they died too often; its record does not know."""


class _Feed(tune.Callback):  # type: ignore[misc]  # Ray has no types
    """Passes Tune's reports on to the display and notes how trials end."""

    def __init__(self, display: SweepDisplay, names: dict[str, str], outcomes: Outcomes) -> None:
        self._display = display
        self._names = names
        self._outcomes = outcomes

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its callbacks for a restore that we never do."""
        return {}

    def on_trial_start(self, *, trial: Any, **_: Any) -> None:  # noqa: ANN401 - Tune's
        """Show that a trial trains."""
        key = trial.config["trial"]["key"]
        self._display.started(key, self._names[key])

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **_: Any) -> None:  # noqa: ANN401
        """Show how far a trial is."""
        key, outcome = trial.config["trial"]["key"], result["outcome"]
        if outcome == "running":
            self._display.progressed(key, result["at"], result["of"], result["accuracy"])
        else:
            self._outcomes.ended[key] = outcome
            self._display.ended(key, outcome, result.get("accuracy"))

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:  # noqa: ANN401
        """Show that a trial's workers died too often."""
        self._display.ended(trial.config["trial"]["key"], "failed")


def _resources(wanted: Resources) -> dict[str, float]:
    """Return what a trial occupies on the cluster that is connected.

    Raises:
        UserError: no node of the cluster has as much.
    """
    resources = {"CPU": wanted.cpu}
    if ray.cluster_resources().get("GPU", 0) > 0:
        resources["GPU"] = wanted.gpu
    for name, amount in resources.items():
        most = max(node["Resources"].get(name, 0) for node in ray.nodes())
        if amount > most:
            raise UserError(
                f"resources.{name.lower()} = {amount:g}: no machine of the cluster has more "
                f"than {most:g}"
            )
    return {name.lower(): amount for name, amount in resources.items()}


def run(
    plan: Plan,
    pending: list[PlannedTrial],
    estimate: Estimate,
    display: SweepDisplay,
) -> Outcomes:
    """Train the pending trials; returns when all are over or the user interrupted.

    A worker that dies is replaced, and its trial goes on from its last checkpoint. Ray must be
    connected.

    Args:
        plan: the sweep.
        pending: what to train.
        estimate: of the seconds each takes; the longest are started first.
        display: where to show progress.

    Returns:
        How the trials ended; one that neither ended nor erred was interrupted.

    Raises:
        UserError: no machine has what a trial is to occupy.
    """
    ordered = sorted(pending, key=lambda trial: -estimate.seconds[trial.key])
    space = [
        {
            "key": trial.key,
            "settings": trial.settings.model_dump(mode="json"),
            "runs": str(plan.runs.resolve()),
        }
        for trial in ordered
    ]
    outcomes = Outcomes()
    feed = _Feed(display, {trial.key: trial.name for trial in pending}, outcomes)
    with tempfile.TemporaryDirectory(prefix="factorlab-") as scratch:
        tuner = Tuner(
            tune.with_resources(TrialTrainable, _resources(plan.experiment.resources)),
            param_space={"trial": tune.grid_search(space)},
            tune_config=TuneConfig(
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.config["trial"]["key"][:12],
                trial_dirname_creator=lambda trial: trial.config["trial"]["key"][:12],
            ),
            run_config=RunConfig(
                name=plan.experiment.sweep,
                storage_path=str(Path(scratch)),
                verbose=0,
                callbacks=[feed],
                failure_config=FailureConfig(max_failures=RESTARTS),
                # Trials keep their own checkpoints; Tune would ask for one at the end.
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        for result in tuner.fit():
            if result.error is not None and result.config is not None:
                reason = str(result.error).strip().splitlines()[-1]
                outcomes.errors[result.config["trial"]["key"]] = reason
    return outcomes
