"""The main job: plan a sweep, train what is left, mirror it, draw its figures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from factorlab.config import flatten
from factorlab.errors import INTERRUPTED, UserError, describe
from factorlab.record import Record
from sweeps import cluster
from sweeps import plan as planning
from sweeps.analyse import Subject, analyse_all
from sweeps.display import SweepDisplay
from sweeps.estimate import Estimate, begin, estimate
from sweeps.experiment import Experiment
from sweeps.plan import Plan, PlannedTrial
from sweeps.reports import draw
from sweeps.summary import conclude, show_plan
from sweeps.tracking import START_DELAY, Mirror, TrackedTrial
from sweeps.work import Outcomes


def mirror_of(runs: Path, document: planning.SavedPlan) -> Mirror:
    """Return the MLflow mirror of a sweep."""
    content = document.document
    return Mirror(
        runs=runs,
        sweep=document.sweep,
        experiment=content["experiment"],
        profile=content["profile"],
        trials=[
            TrackedTrial(
                key=trial["key"],
                name=trial["name"],
                parameters={k: str(v) for k, v in flatten(trial["settings"]).items()},
            )
            for trial in content["trials"]
        ],
    )


def check_figures(experiment: Experiment) -> None:
    """Refuse figures that do not exist or cannot show an axis, before hours of training.

    Raises:
        UserError: the experiment names such a figure.
    """
    if not experiment.figures:
        return
    from analysis import figures  # noqa: PLC0415 - matplotlib costs a second

    for entry in experiment.figures:
        where = f"{experiment.source}: figures: {entry.name}"
        try:
            module = figures.load(entry.draw)
            figures.options_of(module, entry.options)
        except ValidationError as error:
            raise UserError(describe(error, module.Options, where)) from None
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        for key, values in experiment.swept.items():
            if len(values) > 1 and module.AXES is not None and key not in module.AXES:
                raise UserError(
                    f"{experiment.source}: axes.{key}: figure '{entry.name}' compares trials over "
                    f"{', '.join(module.AXES)} alone; leave the figure out or sweep those"
                )


def price_sweep(
    experiment: Experiment, runs: Path, *, retry_failed: bool, console: Console
) -> None:
    """Show the plan of a sweep and its price, and start nothing.

    Raises:
        UserError: the experiment is not allowed.
    """
    check_figures(experiment)
    plan = planning.make(experiment, runs)
    show_plan(plan, estimate(plan, plan.pending(retry_failed=retry_failed)), console)


def run_sweep(
    experiment: Experiment,
    runs: Path,
    figures: Path,
    *,
    retry_failed: bool,
    address: str | None,
    console: Console,
) -> int:
    """Plan, train, mirror, measure and draw a sweep; what is done is not done again.

    Ray is started where something is left to do, and stays connected for the next sweep.

    Args:
        experiment: what to sweep.
        runs: folder of all records.
        figures: folder of all figures.
        retry_failed: train failed trials again.
        address: of a Ray cluster.
        console: for messages and progress.

    Returns:
        The exit status: 0 when every trial is done, measured where its representations are to
        be, and all figures are drawn; 1 when not; 130 when interrupted.

    Raises:
        UserError: the experiment is not allowed or a folder cannot be written.
    """
    plan = planning.make(experiment, runs)
    left = _begin(plan, figures, retry_failed=retry_failed, address=address)
    cluster_alike = "on the cluster if its machines are like this one"
    show_plan(plan, left, console, cluster_alike if address else "on this machine")
    planning.save(plan)
    if retry_failed:
        for trial in plan.trials:
            Record(runs, trial.key).forget_failure()
    saved = planning.find(runs, experiment.sweep)
    mirror = mirror_of(runs, saved)
    mirror.start(START_DELAY)
    try:
        outcomes = _train(plan, left, mirror=mirror, address=address, console=console)
        plan = planning.look_again(plan)
        stopped = outcomes.interrupted or outcomes.lost is not None
        complete = stopped or _measure(plan, address=address, console=console)
        mirror.look_again()
    finally:
        mirror.stop()
    if experiment.figures and plan.counts()["done"]:
        drawn, problems = draw(saved, figures)
        mirror.log_figures(drawn)
        if drawn:
            console.print(f"figures: {drawn[0].parent}", highlight=False, soft_wrap=True)
        for problem in problems:
            console.print(problem, highlight=False, soft_wrap=True)
        complete = complete and not problems
    if mirror.problem:
        console.print(mirror.problem, highlight=False, soft_wrap=True)
    return conclude(plan, outcomes, console) or (0 if complete else 1)


def run_sweeps(
    experiments: Sequence[Experiment],
    runs: Path,
    figures: Path,
    *,
    retry_failed: bool,
    address: str | None,
    console: Console,
) -> int:
    """Run sweeps one after the other on one Ray, as `run_sweep` does, until one is interrupted.

    Returns:
        The worst exit status of all.

    Raises:
        UserError: an experiment is not allowed or a folder cannot be written.
    """
    worst = 0
    try:
        for experiment in experiments:
            code = run_sweep(
                experiment,
                runs,
                figures,
                retry_failed=retry_failed,
                address=address,
                console=console,
            )
            worst = max(worst, code)
            if code == INTERRUPTED:
                break
    finally:
        cluster.disconnect()
    return worst


def _measure(plan: Plan, *, address: str | None, console: Console) -> bool:
    """Measure the representations that finished trials were to keep; returns whether all are."""
    chosen = [
        Subject(trial.key, trial.name)
        for trial in plan.trials
        if trial.state == "done" and trial.settings.representations.layers
    ]
    return analyse_all(chosen, plan.runs, address=address, console=console)


def _begin(plan: Plan, figures: Path, *, retry_failed: bool, address: str | None) -> Estimate:
    """Start Ray if a trial is left, and return the price of what is; both take seconds.

    Raises:
        UserError: the experiment is not allowed or a folder cannot be written.
    """
    pending = plan.pending(retry_failed=retry_failed)
    planning.check_writable(plan.runs)
    planning.check_writable(figures)
    # The probe, the imports of the figures and Ray's start take seconds each, at the same time.
    with begin(plan, pending) as price, ThreadPoolExecutor(1) as aside:
        checked = aside.submit(check_figures, plan.experiment)
        if not pending:
            checked.result()
            return price(None)
        cluster.connect(address)
        from sweeps import runner  # noqa: F401, PLC0415

        checked.result()
        return price(cluster.room(plan.experiment.resources).slots)


def _train(
    plan: Plan,
    left: Estimate,
    *,
    mirror: Mirror,
    address: str | None,
    console: Console,
) -> Outcomes:
    """Run Ray over the pending trials, with a live display, until none can be trained.

    A trial that another process held when its turn came is taken up again once that process is
    gone; one that it still trains is left to it.
    """
    outcomes = Outcomes()
    packs: Sequence[Sequence[PlannedTrial]] = left.packs
    if not packs:
        return outcomes
    from sweeps import runner  # noqa: PLC0415 - after `cluster.connect`

    display = SweepDisplay(
        plan.experiment.sweep,
        total=len(plan.trials),
        done=plan.counts()["done"],
        seconds=left.seconds,
        slots=left.slots,
        problem=lambda: mirror.problem,
        console=console,
    )
    with display:
        while packs:
            latest = runner.run(plan, packs, display, may_grow=address is not None)
            outcomes = outcomes.then(latest)
            if latest.lost:
                cluster.disconnect()  # with it go the workers that still train
                break
            held = {key for key, how in latest.ended.items() if how == "elsewhere"}
            plan = planning.look_again(plan)
            free = {"new", "resumable", "damaged"}
            packs = [(t,) for t in plan.trials if t.key in held and t.state in free]
            if latest.interrupted:
                break
    return outcomes
