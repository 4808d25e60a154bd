"""Train the pending trials of a plan with Ray Tune.

Import this module after `cluster.connect`, and use it before `cluster.disconnect`.
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
"""Maximum number of restarts of a trial whose worker died."""


class _Feed(FIFOScheduler):  # type: ignore[misc]  # Ray has no types
    """Forwards the workers' reports to the listener, and their deaths to the work queue.

    This is a scheduler rather than a callback. With any callback, Tune imports MLflow and other
    packages for its usage statistics, which takes seconds.
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
        """Workers that finished by themselves."""

        self._failures: dict[str, int] = {}
        self._shown: dict[str, set[str]] = {}
        """Keys of the trials that each worker trains, as reported to the listener."""

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state. Tune pickles its scheduler for a restore, which we never use."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ANN401 - Tune's
        """Forward a worker's report."""
        self._hear(trial.trial_id, result)
        return str(self.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:  # noqa: ANN401
        """Forward a worker's last report, which is not passed to `on_trial_result`."""
        if "ended" in result:  # it is missing if the worker was stopped before its first report
            self._hear(trial.trial_id, result)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ANN401
        """Return the trials of a dead worker to the queue, or give them up."""
        reason, before = _reason(trial), self._failures.get(trial.trial_id, 0)
        self._failures[trial.trial_id] = trial.num_failures  # Tune does not count preemptions
        died = self._work.died.remote(trial.trial_id, counts=trial.num_failures > before)
        for key in self._shown.pop(trial.trial_id, set()) - self._training():
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
        """Record how a trial ended. Later calls for the same trial have no effect."""
        if ended.key not in self._outcomes.ended:
            self._start(ended.key)
            self._outcomes.ended[ended.key] = ended.outcome
            if ended.reason is not None:
                self._outcomes.io_errors[ended.key] = ended.reason
            self._listener.ended(ended.key, ended.outcome, ended.accuracy)

    def _training(self) -> set[str]:
        """Return the keys of the trials that any worker trains."""
        return set().union(*self._shown.values())

    def _start(self, key: str) -> None:
        if key not in self._training():
            self._listener.started(key, self._names[key])


def _reason(trial: Any) -> str:  # noqa: ANN401 - Tune's
    """Return the cause of the latest failure of a Tune trial in one line."""
    path = trial.error_file
    if path is None:
        return "unknown"
    last = Path(path).read_text(encoding="utf-8").strip().rpartition("\nFailure # ")[2]
    return cluster.reason(last.partition("\n")[2])


def _serve(packs: Sequence[Pack]) -> tuple[Any, str]:
    """Start the actor that hands out packs on this machine. Return the actor and its name."""
    name = f"factorlab-{uuid.uuid4()}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"name": name, "num_cpus": 0, "scheduling_strategy": here}
    work = ray.remote(WorkQueue).options(**options).remote(packs, RESTARTS, sources.at_start())
    return work, name


def _stateless(name: str, folder: str) -> RunConfig:
    """Return a configuration in which Tune stores no state, since the records hold it."""
    return RunConfig(
        name=name,
        storage_path=folder,
        verbose=0,
        # Replace dead workers without limit; the work queue gives up trials that kill workers.
        failure_config=FailureConfig(max_failures=-1),
        # Trials write their own checkpoints; by default, Tune requests one at the end.
        checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
    )


def run(
    plan: Plan,
    packs: Sequence[Sequence[PlannedTrial]],
    listener: SweepListener,
    *,
    may_grow: bool = False,
) -> Outcomes:
    """Train packs of trials until all have ended or the user interrupts.

    A worker that dies is replaced, and its trials resume from their last checkpoints. Ray must be
    connected.

    Args:
        plan: Plan of the sweep.
        packs: Packs to train, in starting order. The trials of a pack train together.
        listener: Receives progress.
        may_grow: Whether machines may join the cluster.

    Returns:
        How the trials ended.

    Raises:
        UserError: A trial fits on no machine.
    """
    room = cluster.capacity(plan.resources)
    runs = str(plan.runs.resolve())
    tasks = [tuple(Task(t.key, t.settings, runs) for t in pack) for pack in packs]
    work, name = _serve(tasks)
    outcomes = Outcomes()
    names = {trial.key: trial.name for pack in packs for trial in pack}
    feed = _Feed(work, listener, names, outcomes)
    # If machines may join, request twice as many workers as slots. The surplus waits for resources
    # and finds the queue empty at the end.
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
        except (RayError, TuneError) as error:  # the actor or a part of Ray died
            outcomes.lost = cluster.reason(error)
            return outcomes
    for ended in all_ended:
        feed.end(ended)  # a worker may have died before it reported this
    left = names.keys() - outcomes.ended.keys() - outcomes.errors.keys()
    outcomes.interrupted = bool(left) and len(feed.over) < workers
    ray.kill(work)
    return outcomes
