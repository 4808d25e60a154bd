"""The main job: plan a sweep, train what is left, mirror it, draw its figures."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from factorlab.config import flatten
from factorlab.record import Record, State
from sweeps import cluster
from sweeps import plan as planning
from sweeps.display import SweepDisplay, duration
from sweeps.estimate import A100_SUSTAINED, Estimate, estimate
from sweeps.experiment import Experiment
from sweeps.plan import Plan
from sweeps.reports import draw
from sweeps.tracking import Mirror, TrackedTrial

STATES: dict[State, str] = {
    "done": "done before",
    "running": "in another process's hands",
    "resumable": "to be resumed",
    "failed": "failed before",
    "new": "new",
}


def show_plan(plan: Plan, left: Estimate, console: Console) -> None:
    """Print the plan and its price."""
    experiment = plan.experiment
    counts = plan.counts()
    table = Table.grid(padding=(0, 2))
    for key, values in experiment.axes.items():
        table.add_row(key, ", ".join(map(str, values)))
    console.print(f"[bold]{experiment.sweep}[/bold]: {len(plan.trials)} trials from")
    console.print(table)
    parts = [f"{counts[state]} {text}" for state, text in STATES.items() if counts[state]]
    if plan.duplicates:
        parts.append(f"{plan.duplicates} duplicates dropped")
    console.print("trials: " + ", ".join(parts), highlight=False)
    if left.seconds:
        hours = left.flops / A100_SUSTAINED / 3600
        console.print(
            f"to train: {len(left.seconds)} trials, {left.steps:,} steps, {left.flops:.2g} "
            f"floating-point operations; about {duration(left.wall)} on this machine, "
            f"{left.slots} at a time (from {left.basis}); "
            f"{hours:.2g} GPU hours on an A100 if it sustains "
            f"{A100_SUSTAINED:.0e} operations a second, which is assumed",
            highlight=False,
            soft_wrap=True,
        )
    else:
        console.print("nothing left to train", highlight=False)


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


def run_sweep(
    experiment: Experiment,
    runs: Path,
    figures: Path,
    *,
    dry_run: bool,
    retry_failed: bool,
    address: str | None,
    console: Console,
) -> int:
    """Plan, train, mirror and draw a sweep; what is done is not done again.

    Args:
        experiment: what to sweep.
        runs: folder of all records.
        figures: folder of all figures.
        dry_run: stop after the plan.
        retry_failed: train failed trials again.
        address: of a Ray cluster.
        console: for messages and progress.

    Returns:
        The exit status: 0 when every trial is done, 1 when one failed, 130 when interrupted.

    Raises:
        UserError: the experiment is not allowed or a folder cannot be written.
    """
    plan = planning.make(experiment, runs)
    pending = plan.pending(retry_failed=retry_failed)
    left = estimate(plan, pending)
    show_plan(plan, left, console)
    if dry_run:
        return 0
    planning.check_writable(runs)
    planning.save(plan)
    for trial in pending:
        if trial.state == "failed":
            Record(runs, trial.key).forget_failure()
    saved = planning.find(runs, experiment.sweep)
    mirror = mirror_of(runs, saved)
    mirror.start()
    try:
        if pending:
            _train(plan, pending, left, mirror=mirror, address=address, console=console)
    finally:
        mirror.stop()
    if plan.experiment.figures and any(record.result() for _, record in saved.records()):
        drawn = draw(saved, figures)
        mirror.log_figures(drawn[0].parent)
        console.print(f"figures: {drawn[0].parent}", highlight=False, soft_wrap=True)
    if mirror.problem:
        console.print(f"MLflow: {mirror.problem}", highlight=False, soft_wrap=True)
    return _conclude(planning.make(experiment, runs), console)


def _train(
    plan: Plan,
    pending: list[planning.PlannedTrial],
    left: Estimate,
    *,
    mirror: Mirror,
    address: str | None,
    console: Console,
) -> None:
    """Run Ray over the pending trials, with a live display."""
    cluster.configure(address)
    from sweeps import runner  # noqa: PLC0415 - Ray reads its settings when it is imported

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
        runner.run(
            plan,
            pending,
            left,
            display,
            address=address,
            log=lambda text: console.print(text, highlight=False, soft_wrap=True),
        )


def _conclude(plan: Plan, console: Console) -> int:
    """Say what became of the trials and return the exit status."""
    counts = plan.counts()
    for trial in plan.trials:
        if trial.state == "failed":
            failure = Record(plan.runs, trial.key).failure()
            reason = failure["reason"] if failure else "unknown"
            console.print(f"failed: {trial.name}: {reason}", highlight=False, soft_wrap=True)
    if counts["done"] == len(plan.trials):
        return 0
    unfinished = len(plan.trials) - counts["done"] - counts["failed"]
    if unfinished:
        console.print(
            f"{unfinished} trials are not finished; the same command goes on from here",
            highlight=False,
            soft_wrap=True,
        )
        return 130
    console.print("failed trials are left alone; --retry-failed tries them again", highlight=False)
    return 1
