"""The Ray side: a fresh `tune.Tuner` for whatever a plan has left.

To be imported and run between `cluster.connect` and `cluster.disconnect`.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from factorlab.errors import UserError
from sweeps.display import SweepDisplay
from sweeps.experiment import Resources
from sweeps.plan import Plan, PlannedTrial
from sweeps.trainable import Worker
from sweeps.work import Ended, Pack, Task, Work

RESTARTS = 3
"""How often a trial is given to a new worker when its worker died."""


@dataclass
class Outcomes:
    """How the trials ended, by key."""

    ended: dict[str, str] = field(default_factory=dict)
    """`done`, `failed` or `elsewhere`."""

    errors: dict[str, str] = field(default_factory=dict)
    """Why a trial's workers died, when they died too often; its record does not know."""


class _Feed(tune.Callback):  # type: ignore[misc]  # Ray has no types
    """Passes the workers' reports on to the display, and their deaths to the work."""

    def __init__(
        self,
        work: Any,  # noqa: ANN401 - an actor of `Work`
        display: SweepDisplay,
        names: dict[str, str],
        outcomes: Outcomes,
    ) -> None:
        self._work, self._display, self._names, self._outcomes = work, display, names, outcomes
        self._failures: dict[str, int] = {}
        self.broken: dict[str, str] = {}
        """Workers that could not be replaced to the reason."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its callbacks for a restore that we never do."""
        return {}

    def on_trial_result(self, *, result: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - Tune's
        """Show which trials ended and how far others are."""
        for ended in result["ended"]:
            self.end(ended)
        for at in result["at"]:
            self._start(at.key)
            self._display.progressed(at.key, at.step, at.steps, at.accuracy)

    def on_trial_recover(self, *, trial: Any, **_: Any) -> None:  # noqa: ANN401
        """Put back what a worker held that died, or give it up."""
        reason, before = _reason(trial), self._failures.get(trial.trial_id, 0)
        self._failures[trial.trial_id] = trial.num_failures  # a preempted machine's do not count
        died = self._work.died.remote(trial.trial_id, counts=trial.num_failures > before)
        for key in ray.get(died):
            self._outcomes.errors[key] = reason
            self._display.ended(key, "failed")

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:  # noqa: ANN401
        """Put back what a worker held whose replacement could not start; others may take it."""
        self.broken[trial.trial_id] = _reason(trial)
        ray.get(self._work.died.remote(trial.trial_id, counts=False))

    def end(self, ended: Ended) -> None:
        """Note how a trial ended, once."""
        if ended.key not in self._outcomes.ended:
            self._start(ended.key)
            self._outcomes.ended[ended.key] = ended.outcome
            self._display.ended(ended.key, ended.outcome, ended.accuracy)

    def _start(self, key: str) -> None:
        if key not in self._display.running:
            self._display.started(key, self._names[key])


def _reason(trial: Any) -> str:  # noqa: ANN401 - Tune's
    """Return why Tune's trial failed last, in a line."""
    error = trial.get_pickled_error() or trial.get_error()
    return (str(error).strip() or "unknown").splitlines()[-1]


def _resources(wanted: Resources) -> dict[str, float]:
    """Return what a trial occupies on the cluster that is connected, by Ray's names.

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
    return resources


def _workers(resources: dict[str, float], packs: int, *, may_grow: bool) -> int:
    """Return how many workers to ask for.

    On a cluster twice as many as it holds, so that machines that join it are used: the others
    wait, and find nothing to do in the end.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = sum(min(int(node.get(k, 0) / v) for k, v in resources.items()) for node in nodes)
    return min(packs, 2 * room if may_grow else room)


def _serve(packs: Sequence[Pack]) -> tuple[Any, str]:
    """Start the actor that hands out packs, on this machine; returns it and its name."""
    name = f"factorlab-{uuid.uuid4()}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"name": name, "num_cpus": 0, "scheduling_strategy": here}
    return ray.remote(Work).options(**options).remote(packs, RESTARTS), name


def run(
    plan: Plan,
    packs: Sequence[Sequence[PlannedTrial]],
    display: SweepDisplay,
    *,
    may_grow: bool = False,
) -> Outcomes:
    """Train the pending trials; returns when all are over or the user interrupted.

    A worker that dies is replaced, and its trial goes on from its last checkpoint. Ray must be
    connected.

    Args:
        plan: the sweep.
        packs: what to train, in the order to start; the trials of a pack train together.
        display: where to show progress.
        may_grow: machines may join the cluster.

    Returns:
        How the trials ended; one that neither ended nor erred was interrupted.

    Raises:
        UserError: no machine has what a trial is to occupy.
    """
    resources = _resources(plan.experiment.resources)
    runs = str(plan.runs.resolve())
    tasks = [
        tuple(Task(t.key, t.settings.model_dump(mode="json"), runs) for t in pack) for pack in packs
    ]
    work, name = _serve(tasks)
    outcomes = Outcomes()
    names = {trial.key: trial.name for pack in packs for trial in pack}
    feed = _Feed(work, display, names, outcomes)
    workers = _workers(resources, len(packs), may_grow=may_grow)
    with tempfile.TemporaryDirectory(prefix="factorlab-") as scratch:
        tuner = Tuner(
            tune.with_resources(Worker, {k.lower(): v for k, v in resources.items()}),
            param_space={"work": name},
            tune_config=TuneConfig(num_samples=workers, reuse_actors=True),
            run_config=RunConfig(
                name=plan.experiment.sweep,
                storage_path=str(Path(scratch)),
                verbose=0,
                callbacks=[feed],
                # Workers are replaced forever; the work gives up trials that kill theirs.
                failure_config=FailureConfig(max_failures=-1),
                # Trials keep their own checkpoints; Tune would ask for one at the end.
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    for ended in ray.get(work.ended.remote()):
        feed.end(ended)  # a worker that died had not reported it
    left = names.keys() - outcomes.ended.keys() - outcomes.errors.keys()
    if feed.broken:
        outcomes.errors |= dict.fromkeys(left, next(iter(feed.broken.values())))
    ray.kill(work)
    return outcomes
