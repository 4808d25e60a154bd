"""Several sweeps in one command: all are checked before the first trains.

A mistake of the user's in any of them is refused before hours of training. What then fails in one
leaves the others to run, and is named at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from factorlab.errors import INTERRUPTED, UserError, user_message
from factorlab.provenance import code_record
from sweeps.execution import cluster
from sweeps.planning import plan as planning
from sweeps.planning.experiment import Experiment
from sweeps.planning.plan import Plan
from sweeps.reporting.failures import Failure, failure, show
from sweeps.reporting.figure_checks import check_figures
from sweeps.sweep import How, run_sweep

Failed = Mapping[str, list[Failure]]
"""Sweep to what failed of it."""


def run_sweeps(
    experiments: Sequence[Experiment],
    runs: Path,
    figures: Path,
    *,
    retry_failed: bool,
    address: str | None,
    console: Console,
) -> int:
    """Run sweeps one after the other on one Ray, until one is interrupted.

    Args:
        experiments: what to sweep.
        runs: folder of all records.
        figures: folder of all figures.
        retry_failed: train failed trials again.
        address: of a Ray cluster.
        console: for messages and progress.

    Returns:
        The exit status: 0 when every trial is done, measured where its representations are to
        be, and all figures are drawn; 1 when not; 130 when interrupted.

    Raises:
        UserError: an experiment is not allowed or a folder cannot be written.
    """
    code_record.code()  # asks git now, while the disk is as it was imported
    failed: Failed = {experiment.sweep: [] for experiment in experiments}
    with ThreadPoolExecutor(1) as aside:  # the imports of the figures take a second
        checked = aside.submit(_check, experiments)
        plans = _plan(experiments, runs, failed)
        checked.result()
    for sweep, found in failed.items():
        show(found, sweep, console)
    how = How(figures, console, retry_failed, address, [plan.state() for plan in plans])
    codes: dict[str, int] = {}
    try:
        for plan in plans:
            sweep = plan.sweep
            try:
                codes[sweep] = _run(plan, how, failed[sweep], first=not codes)
            finally:
                show(failed[sweep], sweep, console)
            if codes[sweep] == INTERRUPTED:
                break
    finally:
        cluster.disconnect()
    if len(failed) > 1:
        _conclude(codes, failed, console)
    return max([*codes.values(), 1 if any(failed.values()) else 0])


def _plan(experiments: Sequence[Experiment], runs: Path, failed: Failed) -> list[Plan]:
    """Plan all sweeps; one whose planning fails by our own mistake is left out.

    Raises:
        UserError: an experiment is not allowed.
        OSError: the system refused to look up a record.
    """
    plans = []
    for experiment in experiments:
        try:
            plans.append(planning.make(experiment, runs))
        except Exception as error:
            if user_message(error) is not None:
                raise
            failed[experiment.sweep].append(failure("planning", error))
    return plans


def _check(experiments: Sequence[Experiment]) -> None:
    """Refuse sweeps that have a figure that cannot show them.

    Raises:
        UserError: there is one.
    """
    for experiment in experiments:
        check_figures(experiment)


def _run(plan: Plan, how: How, failed: list[Failure], *, first: bool) -> int:
    """Run a sweep as it is now; returns its exit status.

    Raises:
        UserError: this sweep is the first and not allowed, or a later one has no machine.
        OSError: the system refused something, and there is no other sweep.
    """
    try:
        return run_sweep(plan, how, failed)
    except Exception as error:
        alone = len(how.sweeps) == 1 and user_message(error) is not None
        if alone or (first and isinstance(error, UserError)):
            raise
        failed.append(failure("", error))
        cluster.disconnect()  # with it go the workers that may still train
        return 1


def _conclude(codes: Mapping[str, int], failed: Failed, console: Console) -> None:
    """Name in the last lines what failed of which sweep."""
    for sweep, found in failed.items():
        lines = [one.line(sweep) for one in found]
        if codes.get(sweep) == 1 and not found:
            lines = [f"{sweep}: not every trial is done, as its lines above say"]
        for line in lines:
            console.print(line, highlight=False, soft_wrap=True)
