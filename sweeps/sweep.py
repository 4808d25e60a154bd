"""Run one sweep: plan it, train pending trials, track them in MLflow and draw the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from factorlab.errors import UserError
from factorlab.provenance import code_record
from factorlab.storage.files import check_writable
from sweeps.execution.listener import SweepListener
from sweeps.execution.measuring import TrialReference, analyse_all
from sweeps.execution.outcomes import Outcomes
from sweeps.execution.spool import FetchingListener, Spool, check_spool
from sweeps.outputs import write_outputs
from sweeps.planning import saved_plans
from sweeps.planning.cost import probe
from sweeps.planning.cost.estimate import NOTHING, Estimate, Estimator
from sweeps.planning.plan import Plan, PlannedTrial, SweepState
from sweeps.planning.replaced import replaced
from sweeps.planning.search import continuation, picked, threshold
from sweeps.ray_runtime import capacity, cluster_probe, connection, ray_log
from sweeps.reporting.failures import Failure, caught
from sweeps.reporting.live import facts
from sweeps.reporting.live.display import SweepDisplay
from sweeps.reporting.live.waiting import waiting
from sweeps.reporting.summary import conclude, show_plan
from sweeps.tracking.mlflow_sync import START_DELAY, MlflowSync
from sweeps.tracking.plan_sync import mlflow_sync_of, tracked


class LateUserError(UserError):
    """A mistake in an experiment that shows once trials train, such as a metric that none has."""


@dataclass(frozen=True)
class SweepOptions:
    """Options shared by all sweeps of one command."""

    figures: Path
    """Folder of all figures."""

    console: Console
    """Console for messages and progress."""

    retry_failed: bool = False
    """Train failed trials again."""

    address: str | None = None
    """Address of a Ray cluster; None to train on this machine."""

    spool: Spool | None = None
    """The records in a bucket; None if all machines share the runs folder."""

    sweeps: Sequence[SweepState] = ()
    """All sweeps of the command. None starts if the trials of any of them fit on no machine."""

    quiet: bool = False
    """Print problems and the end of each sweep alone."""

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, soft_wrap=True)


def run_sweep(plan: Plan, options: SweepOptions, failed: list[Failure]) -> int:
    """Train, track, measure and draw a sweep. Finished work is not repeated.

    Ray is started only if there is work to do, and stays connected for the next sweep. A failure
    of a figure, of the measures or of MLflow does not stop the other parts.

    Args:
        plan: The plan of the sweep.
        options: Options of the command.
        failed: List to which failures are appended.

    Returns:
        The exit status: 0 if every trial is done, 1 if not, 130 if interrupted.

    Raises:
        LateUserError: A mistake showed once trials trained. What is done is measured and drawn.
        UserError: A trial fits on no machine, or a folder is not writable.
    """
    if options.spool is not None:
        check_spool(plan)
        code_record.save(code_record.code(), plan.runs)  # workers keep it on their machines
        options.spool.exchange([record for _, record in plan.records()])
    plan = _refreshed(plan)
    state = plan.state()
    what = (
        "connecting to the cluster" if options.address else "starting Ray and measuring the speed"
    )
    with waiting(options.console, what, quiet=options.quiet):
        left = _begin(state, options)
    where = "on the cluster" if options.address else "on this machine"
    if not options.quiet:
        show_plan(state, left, options.console, where)
    if (notice := replaced(plan)) is not None:
        options.say(notice)
    saved_plans.save(plan)
    _clear_endings(state, options)
    try:
        return _train_and_draw(state, left, options, failed)
    except UserError as error:
        raise LateUserError(str(error)) from None


def _train_and_draw(
    state: SweepState, left: Estimate, options: SweepOptions, failed: list[Failure]
) -> int:
    """Do all that follows the plan, and return the exit status.

    Raises:
        UserError: A mistake in the experiment showed once trials trained.
    """
    plan = state.plan
    sync = _start_sync(plan, failed)
    try:
        outcomes = _train(state, left, sync=sync, options=options)
        plan = _trained(plan, outcomes)
        with caught("bucket", failed):
            if options.spool is not None:
                options.spool.exchange([record for _, record in plan.records()])
        state = plan.state()
        if sync is not None and (outcomes.search is not None or not state.to_pick):
            sync.end_search()
        if not outcomes.interrupted and outcomes.lost is None:
            measured = _measure(state, options, failed)
            with caught("MLflow", failed):
                if sync is not None and measured:
                    sync.refresh()
    finally:
        with caught("MLflow", failed):
            if sync is not None:
                sync.stop()
    write_outputs(state, sync, options.figures, failed, options.say)
    if sync is not None:
        for text in filter(None, (sync.problem, *sync.notes())):
            options.say(text)
    code = conclude(state, outcomes, options.console)
    if outcomes.refused is not None:
        raise UserError(outcomes.refused)
    return code


def _trained(plan: Plan, outcomes: Outcomes) -> Plan:
    """Return the plan with what its search has picked, without an outlook after a mistake."""
    if outcomes.refused is None:
        try:
            return continuation.continued(plan, simulate=False)
        except UserError as error:
            outcomes.refused = str(error)
    return continuation.restore(plan)


def _refreshed(plan: Plan) -> Plan:
    """Return the plan with what has ended since it was made, in an earlier sweep of the command."""
    now = continuation.continued(plan, simulate=False)
    return plan if now.keys == plan.keys else continuation.continued(plan)


def _clear_endings(state: SweepState, options: SweepOptions) -> None:
    """Make trials that failed or were stopped trainable again, if the command asks for them."""
    for trial in state.pending(retry_failed=options.retry_failed):
        record = state.plan.record(trial)
        if state.states[trial.key] not in ("failed", "stopped"):
            continue
        record.clear_failure()
        record.clear_stopped()
        if options.spool is not None:
            options.spool.forget(record)


def _start_sync(plan: Plan, failed: list[Failure]) -> MlflowSync | None:
    """Start tracking a sweep in MLflow. On failure, return None and train without tracking."""
    sync = None
    with caught("MLflow", failed):
        sync = mlflow_sync_of(plan)
        sync.start(START_DELAY)
    return sync


def _measure(state: SweepState, options: SweepOptions, failed: list[Failure]) -> bool:
    """Measure the stored representations of finished trials, and return whether there are any."""
    chosen = [
        TrialReference.of(trial)
        for trial in state.select("done")
        if trial.run.representations.layers
    ]
    with caught("measures", failed):
        if not analyse_all(
            chosen, state.plan.runs, address=options.address, console=options.console
        ):
            failed.append(
                Failure("measures", "some trials could not be measured; see the messages above")
            )
    return bool(chosen)


def _begin(state: SweepState, options: SweepOptions) -> Estimate:
    """Start Ray if trials are pending, and return the estimate for them.

    Raises:
        UserError: A sweep is invalid, a trial fits on no machine, or a folder is not writable.
    """
    pending = expected(state, retry_failed=options.retry_failed)
    check_writable(state.plan.runs)
    check_writable(options.figures)
    if not pending:
        return NOTHING
    estimator = Estimator(state, pending)
    if options.address is None:
        # The probe and Ray's start each take seconds, so they run concurrently.
        with probe.start(estimator.questions()) as running:
            slots = _connect(state.plan, pending, options)
            return estimator.estimate(running.profile(), slots)
    slots = _connect(state.plan, pending, options)
    found = cluster_probe.profile(estimator.questions(), state.plan.resources, options.say)
    return estimator.estimate(found, slots)


def _connect(plan: Plan, pending: Sequence[PlannedTrial], options: SweepOptions) -> int:
    """Start Ray or connect to the cluster, and return how many trials or packs fit on it.

    Raises:
        UserError: A trial of any sweep of the command fits on no machine, or no cluster answers.
    """
    connection.connect(options.address, plan.runs)
    from sweeps.execution import tune_runner  # noqa: F401, PLC0415

    for other in options.sweeps:
        _check_capacity(other.plan, expected(other, retry_failed=options.retry_failed))
    return _check_capacity(plan, pending)


def expected(state: SweepState, *, retry_failed: bool) -> list[PlannedTrial]:
    """Return the trials to train, and random points in the place of those yet to be picked."""
    pending = state.pending(retry_failed=retry_failed)
    threshold_search = state.plan.outlook is not None
    guesses = threshold.guesses if threshold_search else picked.guesses
    return [*pending, *guesses(state.plan, state.expected_picks)]


def _packs(state: SweepState, left: Estimate) -> list[tuple[PlannedTrial, ...]]:
    """Return the packs to train, without the guesses in the place of what a search will pick."""
    packs: list[tuple[PlannedTrial, ...]] = []
    for pack in left.packs:
        known = tuple(trial for trial in pack if trial.key in state.states)
        small = known and len(known) < left.limits[known[0].run.shape].fewest
        packs += [(trial,) for trial in known] if small else [known] if known else []
    return packs


def _check_capacity(plan: Plan, pending: Sequence[PlannedTrial]) -> int:
    """Return how many trials or packs fit on the cluster at the same time.

    Raises:
        UserError: Some fit on no machine.
    """
    if not pending:
        return 0
    try:
        devices = {trial.run.device for trial in pending}
        return capacity.of_cluster().check(plan.resources, devices)
    except UserError as error:
        raise UserError(f"{plan.source}: {error}") from None


def _display(
    state: SweepState, left: Estimate, sync: MlflowSync | None, options: SweepOptions
) -> SweepDisplay:
    """Return the progress display of a sweep."""
    return SweepDisplay(
        state.plan.sweep,
        facts.facts_of(state, left),
        problem=lambda: sync.problem if sync is not None else None,
        reason=lambda key: state.plan.record_of(key).failure(),
        log=ray_log.current(),
        console=options.console,
        quiet=options.quiet,
    )


def _train(
    state: SweepState,
    left: Estimate,
    *,
    sync: MlflowSync | None,
    options: SweepOptions,
) -> Outcomes:
    """Train the pending trials on Ray with a live display.

    A trial that another process had locked is retried if that process has ended in the meantime.
    Otherwise it is skipped.
    """
    outcomes = Outcomes()
    packs = _packs(state, left)
    if not packs and not state.to_pick:
        return outcomes
    from sweeps.execution import tune_runner  # noqa: PLC0415 - after `connection.connect`

    plan = state.plan
    display = _display(state, left, sync, options)
    listener: SweepListener = display
    if options.spool is not None:
        waits = plan.search is not None
        listener = FetchingListener(display, options.spool, plan.runs, wait=waits)

    axes = facts.SketchAxes.of(plan)

    def announce(trial: PlannedTrial) -> None:
        display.picked(trial.key, None if axes is None else axes.place(trial))
        if sync is not None:
            sync.add(tracked(trial, plan))

    with display:
        while True:
            latest = tune_runner.run(
                plan,
                packs,
                listener,
                limits=left.limits,
                may_grow=options.address is not None,
                spool=None if options.spool is None else options.spool.uri,
                announce=announce,
            )
            if isinstance(listener, FetchingListener):
                listener.finish()
            outcomes = outcomes.then(latest)
            if latest.lost:
                connection.disconnect()  # also ends workers that are still training
            if latest.lost or latest.refused:
                break
            held = {key for key, end in latest.ended.items() if end == "locked"}
            plan = continuation.continued(plan, simulate=False)
            free = plan.state().select("new", "resumable", "damaged")
            packs = [(trial,) for trial in free if trial.key in held]
            if latest.interrupted or not packs:
                break
    return outcomes
