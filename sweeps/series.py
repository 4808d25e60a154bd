"""Run several sweeps in one command.

All sweeps are checked before the first one trains, so that user errors surface before hours of
training. A later failure in one sweep does not stop the others and is reported at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from factorlab.errors import INTERRUPTED, UserError, user_message
from factorlab.provenance import code_record
from sweeps.execution.guided.checks import check_tune_parts
from sweeps.execution.spool import Spool
from sweeps.planning import plan as planning
from sweeps.planning.cost.estimate import estimate
from sweeps.planning.experiment import Experiment
from sweeps.planning.plan import Plan
from sweeps.planning.search import continuation
from sweeps.ray_runtime import connection
from sweeps.reporting.failures import Failure, failure, show
from sweeps.reporting.figure_checks import check_figures
from sweeps.reporting.live.waiting import waiting
from sweeps.reporting.summary import show_plan
from sweeps.sweep import LateUserError, SweepOptions, expected, run_sweep

Failed = Mapping[str, list[Failure]]
"""Failures by name of the sweep."""


def price_sweeps(
    experiments: Sequence[Experiment], runs: Path, *, retry_failed: bool, console: Console
) -> None:
    """Print the plans of sweeps and their estimated cost, without starting anything.

    Raises:
        UserError: An experiment is invalid.
    """
    _check_names(experiments)
    _check(experiments)
    plans = [continuation.continued(planning.make(experiment, runs)) for experiment in experiments]
    check_tune_parts(plans, None)
    for plan in plans:
        state = plan.state()
        with waiting(console, "measuring the speed"):
            left = estimate(state, expected(state, retry_failed=retry_failed))
        show_plan(state, left, console)


def run_sweeps(
    experiments: Sequence[Experiment],
    runs: Path,
    figures: Path,
    *,
    retry_failed: bool,
    address: str | None,
    spool: str | None = None,
    console: Console,
    quiet: bool = False,
) -> int:
    """Run sweeps one after the other in one Ray session. An interrupt stops the series.

    Args:
        experiments: Experiments to run.
        runs: Folder of all records.
        figures: Folder of all figures.
        retry_failed: Train failed trials again.
        address: Address of a Ray cluster; None to train on this machine.
        spool: URI of the records in a bucket; None if all machines share the runs folder.
        console: Console for messages and progress.
        quiet: Whether to print problems and the end of each sweep alone.

    Returns:
        The exit status: 0 if all trials are done, all stored representations are measured and all
        figures are drawn; 130 if interrupted; 1 otherwise.

    Raises:
        UserError: An experiment is invalid or a folder is not writable.
    """
    _check_names(experiments)
    code_record.code()  # query git now, while the files on disk match the imported code
    failed: Failed = {experiment.sweep: [] for experiment in experiments}
    with ThreadPoolExecutor(1) as aside:  # importing the figures takes a second
        checked = aside.submit(_check, experiments)
        plans = _plan(experiments, runs, failed)
        checked.result()
    check_tune_parts(plans, address)
    for sweep, found in failed.items():
        show(found, sweep, console)
    options = SweepOptions(
        figures,
        console,
        retry_failed,
        address,
        None if spool is None else Spool(spool),
        [plan.state() for plan in plans],
        quiet,
    )
    codes: dict[str, int] = {}
    try:
        for plan in plans:
            sweep = plan.sweep
            try:
                codes[sweep] = _run(plan, options, failed[sweep], first=not codes)
            finally:
                show(failed[sweep], sweep, console)
            if codes[sweep] == INTERRUPTED:
                break
    finally:
        connection.disconnect()
    if len(failed) > 1:
        _conclude(codes, failed, console)
    return max([*codes.values(), 1 if any(failed.values()) else 0])


def _plan(experiments: Sequence[Experiment], runs: Path, failed: Failed) -> list[Plan]:
    """Plan all sweeps. A sweep whose planning fails because of a bug is skipped.

    Raises:
        UserError: An experiment is invalid.
        OSError: The operating system denied access to a record.
    """
    plans = []
    for experiment in experiments:
        try:
            plans.append(continuation.continued(planning.make(experiment, runs)))
        except Exception as error:
            if user_message(error) is not None:
                raise
            failed[experiment.sweep].append(failure("planning", error))
    return plans


def _check_names(experiments: Sequence[Experiment]) -> None:
    """Check that no two experiments are one sweep: the second would replace the plan of the first.

    Raises:
        UserError: Two are.
    """
    sources: dict[str, str] = {}
    for experiment in experiments:
        sweep, source = experiment.sweep, experiment.source
        first = sources.get(sweep)
        if first == source:
            raise UserError(f"{source}: given twice; allowed: each experiment once")
        if first is not None:
            raise UserError(
                f"{source}: name = {experiment.name}: {first} has this name, too, and one command "
                f"cannot train the sweep {sweep} twice; rename one of the experiments"
            )
        sources[sweep] = source


def _check(experiments: Sequence[Experiment]) -> None:
    """Check that the figures of all experiments can be drawn.

    Raises:
        UserError: A figure cannot be drawn.
    """
    for experiment in experiments:
        check_figures(experiment)


def _run(plan: Plan, options: SweepOptions, failed: list[Failure], *, first: bool) -> int:
    """Run a sweep and return its exit status.

    Raises:
        UserError: This is the first sweep, none of its trials has begun, and it is invalid, a
            folder is not writable, or a trial of any sweep fits on no machine; or this is the only
            sweep.
        OSError: The operating system refused an operation, and this is the only sweep.
    """
    try:
        return run_sweep(plan, options, failed)
    except Exception as error:
        alone = len(options.sweeps) == 1 and user_message(error) is not None
        early = isinstance(error, UserError) and not isinstance(error, LateUserError)
        if alone or (first and early):
            raise
        failed.append(failure("", error))
        connection.disconnect()  # also ends workers that may still be training
        return 1


def _conclude(codes: Mapping[str, int], failed: Failed, console: Console) -> None:
    """Print a summary of all failures by sweep."""
    for sweep, found in failed.items():
        lines = [one.line(sweep) for one in found]
        if codes.get(sweep) == 1 and not found:
            lines = [f"{sweep}: some trials are not done; see its messages above"]
        for line in lines:
            console.print(line, highlight=False, soft_wrap=True)
