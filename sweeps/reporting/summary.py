"""Summaries of a sweep: its plan and estimated cost at the start, its outcomes at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from factorlab.errors import INTERRUPTED
from factorlab.formatting import duration, first_of, listed, shortened
from factorlab.provenance.sources import TRAINING, at_start
from factorlab.storage.files import reason_of
from factorlab.storage.record import State
from sweeps.execution import watchdog
from sweeps.execution.outcomes import Outcomes
from sweeps.execution.watchdog import REPORT
from sweeps.planning.cost.estimate import Estimate
from sweeps.planning.cost.pack_limits import A100_SUSTAINED
from sweeps.planning.overrides import AXES, single_values
from sweeps.planning.plan import Plan, SweepState
from sweeps.planning.search import threshold
from sweeps.planning.search.spec import AxisRange

STATES: dict[State, str] = {
    "done": "already done",
    "running": "running in another process",
    "resumable": "resumable",
    "damaged": "damaged (will be trained again)",
    "unreadable": "unreadable (will be tried again)",
    "stopped": "stopped early",
    "failed": "already failed",
    "new": "new",
}

LEAST_GPU_HOURS = 0.1
"""Hours on an A100 from which the plan states them; below, a GPU makes no difference to a user."""


def show_plan(
    state: SweepState, left: Estimate, console: Console, where: str = "on this machine"
) -> None:
    """Print the plan of a sweep and its estimated cost.

    Args:
        state: State of the sweep.
        left: Estimate for the pending trials.
        console: Console to print to.
        where: Where the sweep will run, as a phrase.
    """
    plan, counts = state.plan, state.counts()
    console.print(Text.assemble((plan.sweep, "bold"), f": {_trials_of(plan)} from"))
    console.print(_settings(plan))
    for sentence in single_values(plan.overrides, plan.values):
        console.print(sentence, highlight=False, soft_wrap=True)
    parts = [f"{counts[one]} {text}" for one, text in STATES.items() if counts[one]]
    if plan.duplicates:
        parts.append(f"{plan.duplicates} duplicates dropped")
    if parts:
        console.print("trials: " + ", ".join(parts), highlight=False)
    problems = [f"{state.states[t.key]}: {t.name}: {why}" for t, why in state.problems()]
    for line in first_of(problems):
        console.print(line, highlight=False, soft_wrap=True)
    if plan.outlook is not None and state.to_pick:
        expected = plan.outlook
        console.print(
            f"the search is expected to take {expected.middle} further runs "
            f"({expected.low} to {expected.high} in 8 of 10 simulations), at most {state.to_pick}",
            highlight=False,
        )
    if left.seconds:
        hours = left.flops / A100_SUSTAINED / 3600
        on_gpus = (
            f"; at least {hours:.2g} GPU hours on an A100, at the {A100_SUSTAINED:.0e} operations "
            "per second of large networks"
            if hours >= LEAST_GPU_HOURS
            else ""
        )
        console.print(
            f"to train: {len(left.seconds)} trials, {left.steps:,} steps, {left.flops:.2g} "
            f"floating-point operations; about {duration(left.wall)} {where}, "
            f"{left.slots} at a time (from {left.basis}){_together(left)}{on_gpus}",
            highlight=False,
            soft_wrap=True,
        )
    else:
        console.print("nothing left to train", highlight=False)
        if plan.outlook is not None and plan.outlook.over is not None:
            console.print(f"the search is over: {plan.outlook.over}", highlight=False)


def _settings(plan: Plan) -> Table:
    """Return what varies, what the command has set, and what follows an axis."""
    table = Table.grid(padding=(0, 2))
    for key, values in plan.values.items():
        table.add_row(key, str(values) if isinstance(values, AxisRange) else listed(values))
    for key, value in plan.overrides.items():
        if key.removeprefix(AXES) not in plan.values:
            table.add_row(key, f"{shortened(str(value))} in every run (--set)")
    for key, leads in plan.tied.items():
        for lead, followed in leads.items():
            pairs = listed(f"{value} at {at}" for at, value in followed.items())
            table.add_row(key, f"follows {lead}: {pairs}")
    return table


def _trials_of(plan: Plan) -> str:
    """Return a phrase with the number of trials of a sweep."""
    if plan.search is None:
        return f"{len(plan.trials)} trials"
    name = plan.search.algorithm.rpartition(".")[2]
    adopted = sum(1 for trial in plan.trials if trial.adopted is not None)
    earlier = f" and {adopted} of earlier sweeps" if adopted else ""
    so_far = len(plan.trials) - adopted
    return f"{plan.search.runs} trials that {name} picks ({so_far} so far){earlier}"


def _together(left: Estimate) -> str:
    """Return a phrase with the largest pack size, or an empty string if all trials train alone."""
    most = max(len(pack) for pack in left.packs)
    return f", in packs of up to {most}" if most > 1 else ""


def _trained_by_other_code(plan: Plan, outcomes: Outcomes) -> list[str]:
    """Return the names of trials that this sweep finished with code other than the driver's."""
    ours = at_start(TRAINING).digest
    names = []
    for trial in plan.trials:
        if outcomes.ended.get(trial.key) != "done":
            continue
        try:
            entries = plan.record(trial).code()
        except OSError as error:
            reason_of(error)
            continue
        if entries and entries[-1]["sources_sha256"] != ours:
            names.append(trial.name)
    return names


def _few(names: Sequence[str]) -> str:
    """Return the first three names and the number of further ones."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _troubles(state: SweepState, outcomes: Outcomes) -> Iterator[str]:
    """Yield a line for each trial that failed or was not trained."""
    plan = state.plan
    for trial in plan.trials:
        now = state.states[trial.key]
        if now == "failed":
            yield f"failed: {trial.name}: {plan.record(trial).failure()}"
        elif now != "done" and trial.key in outcomes.io_errors:
            yield f"not trained: {trial.name}: {outcomes.io_errors[trial.key]}"
        elif now != "done" and trial.key in outcomes.errors:
            folder = plan.record(trial).path
            hung = f"no progress for {plan.resources.timeout:g} s"
            reason = f"{hung}, see {folder / REPORT}" if watchdog.hung(folder) else None
            yield f"workers died: {trial.name}: {reason or outcomes.errors[trial.key]}"


def conclude(state: SweepState, outcomes: Outcomes, console: Console) -> int:
    """Print the outcomes of the trials and return the exit status."""
    plan, counts = state.plan, state.counts()

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    for line in first_of(list(_troubles(state, outcomes)), "; factorlab status lists all failed"):
        say(line)
    changed = _trained_by_other_code(plan, outcomes)
    if changed:
        say(
            f"the code changed while the sweep ran: {len(changed)} runs were finished with other "
            f"source files than at its start, as noted in their result.json: {_few(changed)}"
        )
    if outcomes.lost:
        say(f"Ray stopped working: {outcomes.lost}")
    if plan.outlook is not None:
        for finding in threshold.of_plan(plan).findings():
            say(str(finding))
    if outcomes.search is not None and state.to_pick:
        say(f"the search ended with {len(plan.trials)} trials: {outcomes.search}")
    to_pick = 0 if outcomes.search is not None else state.to_pick
    ended = counts["done"] + (counts["stopped"] if plan.scheduler is not None else 0)
    if ended == len(plan.trials) and not to_pick:
        return 0
    unfinished = len(plan.trials) - ended - counts["failed"] + to_pick
    if counts["running"]:
        say(f"{counts['running']} trials are running in another process")
    if unfinished:
        say(f"{unfinished} trials are not finished; run the same command again to resume")
    if counts["failed"]:
        say("failed trials are skipped; --retry-failed trains them again")
    return INTERRUPTED if outcomes.interrupted else 1
