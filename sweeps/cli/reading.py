"""Commands that read records: `factorlab status`, `figures`, `report`, `compare`, `export`, ..."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from factorlab.errors import UserError
from factorlab.formatting import duration, first_of
from factorlab.storage.files import check_writable
from sweeps.cli.options import (
    DEFAULT_FIGURES,
    DEFAULT_RUNS,
    Address,
    AsJson,
    ExistingRuns,
    Figures,
    Name,
    Profile,
    console,
    open_store,
)


def status(
    name: Name,
    profile: Profile = None,
    as_json: AsJson = False,
    watched: Annotated[
        bool, typer.Option("--watch", help="Follow the sweep until it ends, or until Ctrl-C.")
    ] = False,
    runs: ExistingRuns = DEFAULT_RUNS,
) -> None:
    """Show the progress of a sweep, also of one that another process or machine trains."""
    from sweeps.planning import saved_plans  # noqa: PLC0415
    from sweeps.reporting import reports  # noqa: PLC0415

    if watched and as_json:
        raise UserError("--json --watch: allowed: one of them")
    if watched:
        from sweeps.reporting.live.watch import awaited, watch  # noqa: PLC0415

        watch(awaited(runs, name, profile, console), console)
        return
    found = reports.status(saved_plans.find(runs, name, profile))
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=2))
        return
    counts = ", ".join(f"{count} {state}" for state, count in found.counts.items())
    typer.echo(f"{found.sweep}: {counts}")
    if found.seconds_left:
        typer.echo(f"about {duration(found.seconds_left)} of training left on one core")
    lines = [f"failed: {trial}: {reason}" for trial, reason in found.failures.items()]
    lines += [f"{state}: {trial}: {reason}" for trial, (state, reason) in found.problems.items()]
    for line in first_of(lines, "; --json lists them all"):
        typer.echo(line)


def figures(
    name: Name,
    profile: Profile = None,
    runs: ExistingRuns = DEFAULT_RUNS,
    folder: Figures = DEFAULT_FIGURES,
) -> None:
    """Draw a sweep's figures from its records, as PNG, PDF and one CSV per panel."""
    from sweeps.planning import saved_plans  # noqa: PLC0415
    from sweeps.reporting import reports  # noqa: PLC0415
    from sweeps.reporting.failures import show  # noqa: PLC0415

    found = saved_plans.find(runs, name, profile)
    check_writable(folder)
    written, failed = reports.draw(found, folder)
    for path in written:
        typer.echo(str(path))
    show(failed, found.sweep, console)
    raise typer.Exit(1 if failed else 0)


def report(
    name: Name,
    profile: Profile = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            dir_okay=False,
            help="Output file; by default report-<profile>.html beside the figures.",
        ),
    ] = None,
    runs: ExistingRuns = DEFAULT_RUNS,
    folder: Figures = DEFAULT_FIGURES,
) -> None:
    """Write one HTML page of a sweep: runs, findings, figures and interactive charts.

    The page needs no network. Figures that are missing or older than the records are drawn first.
    """
    from sweeps.planning import saved_plans  # noqa: PLC0415
    from sweeps.reporting.failures import Failure, show  # noqa: PLC0415
    from sweeps.reporting.html_report import page  # noqa: PLC0415

    found = saved_plans.find(runs, name, profile)
    failed: list[Failure] = []
    typer.echo(str(page.write(found, folder, failed, output=output)))
    show(failed, found.sweep, console)
    raise typer.Exit(1 if failed else 0)


def illustrate(
    names: Annotated[list[str] | None, typer.Argument(help="Figures; all by default.")] = None,
    folder: Figures = DEFAULT_FIGURES,
) -> None:
    """Draw the figures that require no trial: images, the network, percolation theory."""
    from sweeps.reporting import reports  # noqa: PLC0415
    from sweeps.reporting.failures import Failure, show  # noqa: PLC0415

    failed: list[Failure] = []
    for path in reports.illustrate(names, folder, failed):
        typer.echo(str(path))
    show(failed, "", console)
    raise typer.Exit(1 if failed else 0)


def analyse(
    name: Annotated[
        str, typer.Argument(help="Name of an experiment or sweep, or key prefix of a trial.")
    ],
    profile: Profile = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Layer to measure; by default all stored layers.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed of the measures.")] = 0,
    address: Address = None,
    runs: ExistingRuns = DEFAULT_RUNS,
) -> None:
    """Measure stored representations and save the measures in the records and in MLflow."""
    from sweeps.execution import measuring  # noqa: PLC0415
    from sweeps.ray_runtime import connection  # noqa: PLC0415
    from sweeps.tracking.sync_command import synchronise  # noqa: PLC0415

    open_store(runs)
    chosen = measuring.subjects(runs, name, profile)
    try:
        complete = measuring.analyse_all(
            chosen, runs, layer=layer, seed=seed, address=address, console=console
        )
    finally:
        connection.disconnect()
    total, problems = synchronise(runs, console, {trial.key for trial in chosen})
    typer.echo(str(total))
    raise typer.Exit(0 if complete and not problems else 1)


def export(
    name: Name,
    path: Annotated[Path, typer.Argument(help="Output file: .parquet, .csv or .tar.xz.")],
    profile: Profile = None,
    runs: ExistingRuns = DEFAULT_RUNS,
) -> None:
    """Write a sweep's trials to a file.

    A .parquet or .csv file is a table with one row per trial. A .tar.xz file holds the records
    without weights and pictures: after tar -xf FILE -C RUNS, tables, figures and verdicts can be
    made again without training.
    """
    from sweeps.planning import saved_plans  # noqa: PLC0415
    from sweeps.reporting import reports  # noqa: PLC0415

    count = reports.export(saved_plans.find(runs, name, profile), path)
    console.print(f"{path}: {count} trials", highlight=False)


def compare(
    first: Annotated[str, typer.Argument(metavar="SWEEP_A", help="Experiment or sweep.")],
    second: Annotated[str, typer.Argument(metavar="SWEEP_B", help="Experiment or sweep.")],
    metric: Annotated[
        str, typer.Option("--metric", help="Metric of the last evaluation.")
    ] = "accuracy",
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write all cells to a file.")
    ] = None,
    as_json: AsJson = False,
    runs: ExistingRuns = DEFAULT_RUNS,
    other_runs: Annotated[
        Path | None,
        typer.Option(
            "--runs-b",
            file_okay=False,
            exists=True,
            help="Folder of the records of SWEEP_B; by default that of SWEEP_A.",
        ),
    ] = None,
) -> None:
    """Show what differs between two sweeps, in settings and in results.

    Runs match if they agree in the seed and in all swept settings with a value in both sweeps. A
    difference is that of SWEEP_B less SWEEP_A, with a 95 % interval.
    """
    from sweeps.reporting import comparison, comparison_view  # noqa: PLC0415

    found = comparison.compare(first, second, runs=runs, runs_b=other_runs, metric=metric)
    if csv is not None:
        count = comparison_view.write_csv(found, csv)
        console.print(f"{csv}: {count} cells", highlight=False)
    if as_json:
        typer.echo(comparison_view.as_json(found))
    else:
        comparison_view.show(found, Console(markup=False))
