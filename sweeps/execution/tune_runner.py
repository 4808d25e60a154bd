"""Train the pending trials of a plan with Ray Tune: one Tune trial is one pack of them.

Import this module after `connection.connect`, and use it before `connection.disconnect`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence

from ray import tune
from ray.exceptions import RayError
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, TuneError, Tuner
from ray.tune.experiment import Trial

from factorlab.provenance import sources
from sweeps.execution.assignments import Assignments, Pack, Task
from sweeps.execution.listener import SweepListener
from sweeps.execution.outcomes import Outcomes
from sweeps.execution.trainable import SweepOrders, Worker
from sweeps.execution.tune_scheduler import RESTARTS, PackSearcher, SweepScheduler, UntilStuck
from sweeps.planning.experiment import Resources
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.ray_runtime import capacity, connection, ray_log

REPORT_EVERY = 2.0
"""Seconds between two reports of a worker."""

GROWING = 200
"""Number of packs that wait for resources at the same time on a cluster. An autoscaler adds
machines for them."""


def _tasks(pack: Sequence[PlannedTrial]) -> Pack:
    return tuple(Task(t.key, json.dumps(t.settings), t.run.device) for t in pack)


def _stateless(name: str, folder: str, stopper: UntilStuck) -> RunConfig:
    """Return a configuration in which Tune stores no state, since the records hold it."""
    return RunConfig(
        name=name,
        storage_path=folder,
        verbose=0,
        stop=stopper,
        failure_config=FailureConfig(max_failures=RESTARTS),
        # Trials write their own checkpoints; by default, Tune requests one at the end.
        checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
    )


class _Room:
    """What one pack of a sweep needs, and how many fit on the cluster."""

    def __init__(self, wanted: Resources, devices: Iterable[str]) -> None:
        self._wanted, self._devices = wanted, set(devices)
        self._at_start = capacity.of_cluster()

    def needs(self, device: str) -> dict[str, float]:
        """Return the resources of one pack by Tune's names."""
        needs = self._at_start.needs(self._wanted, device)
        return {name.lower(): amount for name, amount in needs.items()}

    def slots(self) -> int:
        """Return how many packs fit on the cluster now, at least one."""
        now = capacity.of_cluster()
        return max(1, min(now.slots(now.needs(self._wanted, d)) for d in self._devices))


def _name(trial: Trial) -> str:
    return str(trial.trial_id)


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
    room = _Room(plan.resources, (trial.run.device for pack in packs for trial in pack))
    orders = SweepOrders(
        runs=str(plan.runs.resolve()),
        witness=str(ray_log.current().resolve()),
        timeout=plan.resources.timeout,
        report_every=REPORT_EVERY,
        sources=sources.at_start(),
    )
    outcomes = Outcomes()
    assignments = Assignments([_tasks(pack) for pack in packs])
    names = {trial.key: trial.name for pack in packs for trial in pack}
    scheduler = SweepScheduler(
        assignments,
        listener,
        names,
        outcomes,
        room,
    )
    slots = room.slots()
    # Tune reads this when it starts.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(slots, GROWING) if may_grow else slots)
    trainable = tune.with_parameters(Worker, orders=orders)
    how = TuneConfig(
        num_samples=-1,
        reuse_actors=True,
        search_alg=PackSearcher(assignments, outcomes, None if may_grow else slots),
        scheduler=scheduler,
        trial_name_creator=_name,
        trial_dirname_creator=_name,
    )
    with tempfile.TemporaryDirectory(prefix="factorlab-") as scratch:
        where = _stateless(plan.sweep, scratch, UntilStuck(scheduler))
        try:
            Tuner(trainable, tune_config=how, run_config=where).fit()
        except (RayError, TuneError) as error:  # a part of Ray died
            outcomes.lost = connection.reason(error)
            return outcomes
    outcomes.interrupted = scheduler.can_go_on()
    return outcomes
