"""What a sweep leaves behind when it ends: its figures and its HTML report, also in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sweeps.planning.plan import SweepState
from sweeps.reporting import reports, verdicts
from sweeps.reporting.failures import Failure, caught
from sweeps.reporting.html_report import page
from sweeps.tracking.mlflow_sync import MlflowSync


def write_outputs(
    state: SweepState,
    sync: MlflowSync | None,
    folder: Path,
    failed: list[Failure],
    say: Callable[[str], None],
) -> None:
    """Draw the figures, write the report and upload both to MLflow.

    A failure of one part does not stop the others.

    Args:
        state: State of the sweep's trials.
        sync: The sweep in MLflow, None without tracking.
        folder: Folder of all figures.
        failed: List to which failures are appended.
        say: Prints a line about each part after it was written.
    """
    plan, counts = state.plan, state.counts()
    if counts["new"] == len(plan.trials):
        return
    files: list[Path] = []
    problems: list[Failure] = []
    if plan.figures and counts["done"]:
        with caught("figures", failed):
            files, problems = reports.draw(plan, folder)
            failed += problems
    if files:
        say(f"figures: {files[0].parent}")
    found: verdicts.Verdicts = []
    with caught("report", failed):
        found = verdicts.judged(plan, reports.evaluations(plan), failed)
        path = page.write(plan, folder, failed, drawn=problems, judged=found)
        files = [*files, path]
        say(f"report: {path}")
    with caught("MLflow", failed):
        if sync is not None:
            sync.log_figures(files, [(claim.text, outcome.verdict) for claim, outcome in found])
