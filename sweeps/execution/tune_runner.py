"""Train the pending trials of a plan with Ray Tune: one Tune trial is one pack of them.

Import this module after `connection.connect`, and use it before `connection.disconnect`.
"""

from __future__ import annotations

import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, TuneError, Tuner
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from factorlab.config import RunSettings, Shape
from factorlab.errors import UserError
from factorlab.provenance import code_record, sources
from sweeps.execution.assignments import Assignments, tasks
from sweeps.execution.guided import tune_parts
from sweeps.execution.guided.early_stopping import EarlyStopping
from sweeps.execution.guided.run_search import RunSearch
from sweeps.execution.guided.scheduler import GuidedScheduler, PickingSearcher
from sweeps.execution.listener import SweepListener
from sweeps.execution.outcomes import Outcomes
from sweeps.execution.trainable import SweepOrders, Worker
from sweeps.execution.tune_scheduler import RESTARTS, PackSearcher, SweepScheduler, UntilStuck
from sweeps.planning.cost.pack_limits import PackLimits
from sweeps.planning.experiment import Resources
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.search.curves import candidates
from sweeps.ray_runtime import capacity, connection, ray_log

REPORT_EVERY = 2.0
"""Least number of seconds between two reports of a worker."""

MOST_REPORTS = 40
"""Reports a second of all workers together. One costs the driver up to 9 ms (docs/throughput.md,
Scale)."""

GROWING = 200
"""Number of packs that wait for resources at the same time on a cluster. An autoscaler adds
machines for them."""

LIMIT_EVERY = 5.0
"""Seconds between two questions about how many runs of a search fit on a cluster."""

NO_HANDLER = "TUNE_DISABLE_SIGINT_HANDLER"
"""Variable by which Tune leaves Ctrl-C to others."""

AHEAD = 8
"""Runs that a search picks ahead where an autoscaler adds machines for them."""


@contextmanager
def _interruptible(listener: SweepListener) -> Iterator[None]:
    """Tell a listener of the first Ctrl-C, which ends Tune, and restore all handlers at the end.

    Tune handles SIGUSR1 as it handles SIGINT. Before it does, and from the second Ctrl-C on, SIGINT
    has the handler from before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        stop = signal.getsignal(signal.SIGUSR1)  # Tune's own one, once it has started
        if asked or stop == before[signal.SIGUSR1] or not callable(stop):
            handler = before[signal.SIGINT]
            if not callable(handler):  # it is ignored, as in the background of a script
                raise KeyboardInterrupt
            handler(number, frame)
            return
        asked = True
        stop(number, frame)
        with suppress(OSError, SystemExit):  # rich raises it if nobody reads the output any longer
            listener.stopping()

    disabled = os.environ.get(NO_HANDLER)
    os.environ[NO_HANDLER] = "1"  # that of Tune says nothing on the screen
    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        os.environ.pop(NO_HANDLER, None)
        if disabled is not None:
            os.environ[NO_HANDLER] = disabled
        for number, handler in before.items():
            if handler is not None:  # one that was not installed from Python
                signal.signal(number, handler)


@contextmanager
def _one_snapshot(folder: Path) -> Iterator[None]:
    """Let Tune write the state of its trials only once, at the start.

    Nothing reads it, but Tune writes it again and again, and wants to see a file at the end.

    Args:
        folder: Folder of the sweep in Tune's storage.
    """
    write, written = TuneController.checkpoint, False

    def once(controller: TuneController, force: bool = False, wait: bool = False) -> None:
        nonlocal written
        if not written or (force and not any(folder.glob("experiment_state-*.json"))):
            write(controller, force=force, wait=True)
            written = True

    TuneController.checkpoint = once
    try:
        yield
    finally:
        TuneController.checkpoint = write


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
        self._asked, self._limit = -math.inf, 1

    def needs(self, device: str) -> dict[str, float]:
        """Return the resources of one pack by Tune's names."""
        needs = self._at_start.needs(self._wanted, device)
        return {name.lower(): amount for name, amount in needs.items()}

    def limit(self) -> int:
        """Return how many runs of a search may be picked: more than fit if machines may be added.

        The cluster is asked at most every few seconds.
        """
        if time.monotonic() - self._asked > LIMIT_EVERY:
            self._asked = time.monotonic()
            self._limit = self.slots() + (AHEAD if self._at_start.grows else 0)
        return self._limit

    def slots(self) -> int:
        """Return how many packs fit on the cluster now, at least one."""
        now = capacity.of_cluster()
        return max(1, min(now.slots(now.needs(self._wanted, d)) for d in self._devices))


def _name(trial: Trial) -> str:
    return str(trial.trial_id)


def _devices(plan: Plan) -> set[str]:
    """Return the devices of the runs that a search may pick."""
    if "device" in plan.values:
        return set(candidates(plan.values["device"]))
    return {plan.base.get("device", RunSettings.model_fields["device"].default)}


class _Parts:
    """The parts of a sweep on the driver: what waits, what Tune calls, and how trials ended.

    Args:
        plan: Plan of the sweep.
        packs: Packs to train.
        listener: Receives progress.
        announce: Called with each trial that a search picks.
        limits: Range of pack sizes by shape, for the trials that a search picks.
        may_grow: Whether machines may join the cluster.
    """

    def __init__(
        self,
        plan: Plan,
        packs: Sequence[Sequence[PlannedTrial]],
        listener: SweepListener,
        announce: Callable[[PlannedTrial], None],
        *,
        limits: Mapping[Shape, PackLimits],
        may_grow: bool,
    ) -> None:
        self.outcomes = Outcomes()
        self._announce = announce
        self._names = {trial.key: trial.name for pack in packs for trial in pack}
        devices = {trial.run.device for pack in packs for trial in pack}
        room = _Room(plan.resources, devices or _devices(plan))
        self.slots = room.slots()
        assignments = Assignments([tasks(pack) for pack in packs])
        common = (assignments, listener, self._names, self.outcomes, room)
        search = stopping = None
        fixed = None if may_grow else lambda: self.slots
        self.searcher: PackSearcher
        if plan.search is None:
            self.searcher = PackSearcher(assignments, self.outcomes, fixed)
        else:
            search = RunSearch(tune_parts.searcher(plan), plan, self._picked)
            self.searcher = PickingSearcher(
                assignments,
                self.outcomes,
                fixed or room.limit,
                plan.search.parallel,
                search,
                limits,
            )
        if plan.scheduler is not None:
            part = tune_parts.scheduler(plan.scheduler, plan.most_steps, plan.source)
            stopping = EarlyStopping(part, plan)
        self.scheduler: SweepScheduler
        if search is None and stopping is None:
            self.scheduler = SweepScheduler(*common)
        else:
            self.scheduler = GuidedScheduler(*common, search=search, stopping=stopping)

    def _picked(self, trial: PlannedTrial) -> None:
        self._names[trial.key] = trial.name
        self._announce(trial)


def report_period(workers: int) -> float:
    """Return the seconds between two reports of a worker, so that the driver keeps up with all."""
    return max(REPORT_EVERY, workers / MOST_REPORTS)


def _orders(plan: Plan, spool: str | None, workers: int) -> SweepOrders:
    """Return what all workers of a sweep are told."""
    return SweepOrders(
        runs=str(plan.runs.resolve()),
        witness=str(ray_log.current().resolve()),
        spool=spool,
        timeout=plan.resources.timeout,
        report_every=report_period(workers),
        at_evaluations=plan.search is not None or plan.scheduler is not None,
        node=ray.get_runtime_context().get_node_id(),
        sources=sources.at_start(),
        versions=code_record.versions(),
    )


def run(
    plan: Plan,
    packs: Sequence[Sequence[PlannedTrial]],
    listener: SweepListener,
    *,
    limits: Mapping[Shape, PackLimits] | None = None,
    may_grow: bool = False,
    spool: str | None = None,
    announce: Callable[[PlannedTrial], None] = lambda _: None,
) -> Outcomes:
    """Train packs of trials until all have ended or the user interrupts.

    If the plan has a search, train what it picks, too. A worker that dies is replaced, and its
    trials resume from their last checkpoints. Ray must be connected.

    Args:
        plan: Plan of the sweep.
        packs: Packs to train, in starting order. The trials of a pack train together.
        listener: Receives progress.
        limits: Range of pack sizes by shape, for the trials that the search picks; by default, they
            train alone.
        may_grow: Whether machines may join the cluster.
        spool: URI of the records in a bucket, None if all machines share the runs folder.
        announce: Called with each trial that the search picks, before it is trained.

    Returns:
        How the trials ended. `refused` says if the search or the scheduler cannot be made or fails,
        or if their metric does not exist.
    """
    try:
        parts = _Parts(plan, packs, listener, announce, limits=limits or {}, may_grow=may_grow)
    except UserError as error:
        return Outcomes(refused=str(error))
    # Tune reads this when it starts.
    waiting = max(parts.slots, GROWING) if may_grow else parts.slots
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(waiting)
    how = TuneConfig(
        num_samples=-1,
        reuse_actors=True,
        search_alg=parts.searcher,
        scheduler=parts.scheduler,
        trial_name_creator=_name,
        trial_dirname_creator=_name,
    )
    trainable = tune.with_parameters(Worker, orders=_orders(plan, spool, waiting))
    with tempfile.TemporaryDirectory(prefix="factorlab-") as scratch:
        where = _stateless(plan.sweep, scratch, UntilStuck(parts.scheduler))
        try:
            with _interruptible(listener), _one_snapshot(Path(scratch, plan.sweep)):
                Tuner(trainable, tune_config=how, run_config=where).fit()
        except (RayError, TuneError) as error:  # a part of Ray died
            parts.outcomes.lost = connection.reason(error)
            return parts.outcomes
    parts.outcomes.interrupted = parts.scheduler.can_go_on()
    return parts.outcomes
