"""The Ray side: a fresh `tune.Tuner` for whatever a plan has left.

Import this after `cluster.configure`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

from sweeps import cluster
from sweeps.display import SweepDisplay
from sweeps.estimate import Estimate
from sweeps.plan import Plan, PlannedTrial
from sweeps.trainable import TrialTrainable

RESTARTS = 3
"""How often a trial is given to a new worker when its worker died."""


class _Feed(tune.Callback):  # type: ignore[misc]  # Ray has no types
    """Passes Tune's reports on to the display."""

    def __init__(self, display: SweepDisplay, names: dict[str, str]) -> None:
        self._display = display
        self._names = names

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
            self._display.ended(key, outcome, result.get("accuracy"))

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:  # noqa: ANN401
        """Show that a trial's workers died too often."""
        self._display.ended(trial.config["trial"]["key"], "failed")


def run(
    plan: Plan,
    pending: list[PlannedTrial],
    estimate: Estimate,
    display: SweepDisplay,
    *,
    address: str | None = None,
    log: Callable[[str], None],
) -> None:
    """Train the pending trials; returns when all are over or the user interrupted.

    What became of each trial is in its record, which is what the caller should look at. A
    worker that dies is replaced, and its trial goes on from its last checkpoint.

    Args:
        plan: the sweep.
        pending: what to train.
        estimate: of the seconds each takes; the longest are started first.
        display: where to show progress.
        address: of a Ray cluster; by default one is started on this machine.
        log: takes a sentence about a worker that failed.
    """
    cluster.connect(address)
    wanted = plan.experiment.resources
    resources = {"cpu": wanted.cpu}
    if ray.cluster_resources().get("GPU", 0) > 0:
        resources["gpu"] = wanted.gpu
    ordered = sorted(pending, key=lambda trial: -estimate.seconds[trial.key])
    space = [
        {
            "key": trial.key,
            "settings": trial.settings.model_dump(mode="json"),
            "runs": str(plan.runs.resolve()),
        }
        for trial in ordered
    ]
    try:
        with tempfile.TemporaryDirectory(prefix="factorlab-") as scratch:
            tuner = Tuner(
                tune.with_resources(TrialTrainable, resources),
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
                    callbacks=[_Feed(display, {t.key: t.name for t in pending})],
                    failure_config=FailureConfig(max_failures=RESTARTS),
                    # Trials keep their own checkpoints; Tune would ask for one at the end.
                    checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            for error in tuner.fit().errors:
                log(f"a worker failed: {str(error).strip().splitlines()[-1]}")
    finally:
        ray.shutdown()
