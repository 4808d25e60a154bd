"""Commands that train: `factorlab sweep`, `reproduce` and `train`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from factorlab.errors import INTERRUPTED
from sweeps.cli.options import (
    DEFAULT_FIGURES,
    DEFAULT_RUNS,
    Address,
    Figures,
    Overrides,
    Profile,
    Runs,
    SpoolUri,
    console,
    open_store,
)

Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print problems and the end of each sweep alone.")
]


def sweep(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names or YAML files of experiments.")
    ],
    profile: Profile = None,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and exit.")] = False,
    address: Address = None,
    spool: SpoolUri = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train failed trials again.")
    ] = False,
    quiet: Quiet = False,
    runs: Runs = DEFAULT_RUNS,
    figures: Figures = DEFAULT_FIGURES,
) -> None:
    """Train all pending trials of experiments, measure them and draw the figures."""
    from sweeps.planning import experiment as experiments  # noqa: PLC0415
    from sweeps.planning.overrides import parse_overrides  # noqa: PLC0415

    changes = parse_overrides(overrides or [])
    chosen = [experiments.load(name, profile, changes) for name in names]
    if dry_run:
        from sweeps.series import price_sweeps  # noqa: PLC0415

        price_sweeps(chosen, runs, retry_failed=retry_failed, console=Console(markup=False))
        return
    open_store(runs)
    from sweeps.series import run_sweeps  # noqa: PLC0415 - seconds, which a mistake need not wait

    code = run_sweeps(
        chosen,
        runs,
        figures,
        retry_failed=retry_failed,
        address=address,
        spool=spool,
        console=console,
        quiet=quiet,
    )
    raise typer.Exit(code)


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Experiments; by default all.")
    ] = None,
    profile: Profile = None,
    address: Address = None,
    spool: SpoolUri = None,
    quiet: Quiet = False,
    runs: Runs = DEFAULT_RUNS,
    figures: Figures = DEFAULT_FIGURES,
) -> None:
    """Run the project's experiments and write a page that compares them with the papers."""
    from sweeps.planning import experiment as experiments  # noqa: PLC0415
    from sweeps.reporting import replication_report  # noqa: PLC0415
    from sweeps.reporting.failures import Failure, show  # noqa: PLC0415

    known = replication_report.available()
    chosen = [experiments.load(name, profile, {}) for name in names or known]
    replication_report.check(chosen)
    open_store(runs)
    from sweeps.series import run_sweeps  # noqa: PLC0415 - as above

    code = run_sweeps(
        chosen,
        runs,
        figures,
        retry_failed=False,
        address=address,
        spool=spool,
        console=console,
        quiet=quiet,
    )
    failed: list[Failure] = []
    profile = profile or experiments.DEFAULT_PROFILE
    typer.echo(str(replication_report.write(runs, figures, profile, failed)))
    show(failed, "", console)
    raise typer.Exit(max(code, 1 if failed else 0))


def train(overrides: Overrides = None, runs: Runs = DEFAULT_RUNS) -> None:
    """Train a single run in this process, without Ray, and print its result."""
    from sweeps.execution.single_run import train_one  # noqa: PLC0415 - torch takes seconds

    result = train_one(overrides or [], runs, console)
    if result is None:
        console.print("stopped; run the same command again to resume")
        raise typer.Exit(INTERRUPTED)
    typer.echo(json.dumps(result, indent=2))
