"""The Ray side: a fresh `tune.Tuner` for whatever a plan has left.

To be imported and run between `cluster.connect` and `cluster.disconnect`.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, TuneError, Tuner
from ray.tune.schedulers import FIFOScheduler
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from factorlab.provenance import sources
from sweeps.execution import cluster
from sweeps.execution.listener import SweepListener
from sweeps.execution.trainable import Worker
from sweeps.execution.work_queue import Ended, Outcomes, Pack, Task, WorkQueue
from sweeps.planning.plan import Plan, PlannedTrial

RESTARTS = 3
"""How often a trial is given to a new worker when its worker died."""


class _Feed(FIFOScheduler):  # type: ignore[misc]  # Ray has no types
    """Passes the workers' reports on to the listener, and their deaths to the work.

    A scheduler hears of both as a callback does; but for the sake of its statistics Tune imports
    MLflow and others, for seconds, as soon as it has a callback.
    """

    def __init__(
        self,
        work: Any,  # noqa: ANN401 - an actor of `WorkQueue`
        listener: SweepListener,
        names: dict[str, str],
        outcomes: Outcomes,
    ) -> None:
        super().__init__()
        self._work, self._listener, self._names, self._outcomes = work, listener, names, outcomes
        self.over: set[str] = set()
        """Workers that ended by themselves."""

        self._failures: dict[str, int] = {}
        self._shown: dict[str, set[str]] = {}
        """What each worker was said to train."""

        self._started: set[str] = set()
        """Trials that train, of all workers."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its scheduler for a restore that we never do."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ANN401 - Tune's
        """Show which trials ended and how far others are."""
        self._hear(trial.trial_id, result)
        return str(self.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:  # noqa: ANN401
        """Show what a worker's last report says, which does not reach `on_trial_result`."""
        if "ended" in result:  # Tune's own where a worker is stopped before its first report
            self._hear(trial.trial_id, result)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ANN401
        """Put back what a worker held that died, or give it up."""
        reason, before = _reason(trial), self._failures.get(trial.trial_id, 0)
        self._failures[trial.trial_id] = trial.num_failures  # a preempted machine's do not count
        died = self._work.died.remote(trial.trial_id, counts=trial.num_failures > before)
        for key in self._shown.pop(trial.trial_id, ()):
            self._started.discard(key)
            self._listener.stopped(key)
        for key in ray.get(died):
            self._outcomes.errors[key] = reason
            self._listener.ended(key, "failed")

    def _hear(self, worker: str, result: dict[str, Any]) -> None:
        if result["broken"]:
            self._outcomes.broken[worker] = result["broken"]
        if result["done"]:
            self.over.add(worker)
        shown = self._shown.setdefault(worker, set())
        for ended in result["ended"]:
            self.end(ended)
            shown.discard(ended.key)
        for at in result["at"]:
            self._start(at.key)
            shown.add(at.key)
            self._listener.progressed(at.key, at.step, at.steps, at.accuracy)

    def end(self, ended: Ended) -> None:
        """Note how a trial ended, once."""
        if ended.key not in self._outcomes.ended:
            self._start(ended.key)
            self._outcomes.ended[ended.key] = ended.outcome
            if ended.reason is not None:
                self._outcomes.io_errors[ended.key] = ended.reason
            self._listener.ended(ended.key, ended.outcome, ended.accuracy)

    def _start(self, key: str) -> None:
        if key not in self._started:
            self._started.add(key)
            self._listener.started(key, self._names[key])


def _reason(trial: Any) -> str:  # noqa: ANN401 - Tune's
    """Return why Tune's trial failed last, in a line."""
    path = trial.error_file
    if path is None:
        return "unknown"
    last = Path(path).read_text(encoding="utf-8").strip().rpartition("\nFailure # ")[2]
    return cluster.reason(last.partition("\n")[2])


def _serve(packs: Sequence[Pack]) -> tuple[Any, str]:
    """Start the actor that hands out packs, on this machine; returns it and its name."""
    name = f"factorlab-{uuid.uuid4()}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"name": name, "num_cpus": 0, "scheduling_strategy": here}
    work = ray.remote(WorkQueue).options(**options).remote(packs, RESTARTS, sources.at_start())
    return work, name


def _stateless(name: str, folder: str) -> RunConfig:
    """Return a configuration by which Tune keeps nothing: the records are the state."""
    return RunConfig(
        name=name,
        storage_path=folder,
        verbose=0,
        # Workers are replaced forever; the work gives up trials that kill theirs.
        failure_config=FailureConfig(max_failures=-1),
        # Trials keep their own checkpoints; Tune would ask for one at the end.
        checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
    )


def run(
    plan: Plan,
    packs: Sequence[Sequence[PlannedTrial]],
    listener: SweepListener,
    *,
    may_grow: bool = False,
) -> Outcomes:
    """Train the pending trials; returns when all are over or the user interrupted.

    A worker that dies is replaced, and its trial goes on from its last checkpoint. Ray must be
    connected.

    Args:
        plan: the sweep.
        packs: what to train, in the order to start; the trials of a pack train together.
        listener: hears of progress.
        may_grow: machines may join the cluster.

    Returns:
        How the trials ended.

    Raises:
        UserError: no machine has what a trial is to occupy.
    """
    room = cluster.capacity(plan.resources)
    runs = str(plan.runs.resolve())
    tasks = [tuple(Task(t.key, t.settings, runs) for t in pack) for pack in packs]
    work, name = _serve(tasks)
    outcomes = Outcomes()
    names = {trial.key: trial.name for pack in packs for trial in pack}
    feed = _Feed(work, listener, names, outcomes)
    # Twice the room where machines may join: the others wait, and find nothing to do in the end.
    workers = min(len(packs), 2 * room.slots if may_grow else room.slots)
    trainable = tune.with_resources(Worker, {k.lower(): v for k, v in room.resources.items()})
    space = {"work": name, "timeout": plan.resources.timeout}
    how = TuneConfig(num_samples=workers, reuse_actors=True, scheduler=feed)
    with tempfile.TemporaryDirectory(prefix="factorlab-") as scratch:
        where = _stateless(plan.sweep, scratch)
        tuner = Tuner(trainable, param_space=space, tune_config=how, run_config=where)
        try:
            tuner.fit()
            all_ended = ray.get(work.ended.remote())
        except (RayError, TuneError) as error:  # the actor, or a part of Ray itself, died
            outcomes.lost = cluster.reason(error)
            return outcomes
    for ended in all_ended:
        feed.end(ended)  # a worker that died had not reported it
    left = names.keys() - outcomes.ended.keys() - outcomes.errors.keys()
    outcomes.interrupted = bool(left) and len(feed.over) < workers
    ray.kill(work)
    return outcomes
