"""The command line: `factorlab`.

Results go to standard output, progress and messages to standard error. A user's mistake is one
sentence and exit status 2.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from factorlab.errors import INTERRUPTED, UserError, user_message
from factorlab.formatting import duration, first_of
from factorlab.storage.files import check_writable
from factorlab.system import cache_folder
from sweeps.cli import percolate

app = typer.Typer(
    help="Sweeps of small diffusion models: how they learn to factorize and compose.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(percolate.app, name="percolate")
console = Console(stderr=True, markup=False)  # texts of others have brackets in them


def _existing(runs: Path) -> Path:
    """Refuse a runs folder that is not there, which a command that reads would take for empty.

    Raises:
        UserError: it is not there.
    """
    if not runs.is_dir():
        raise UserError(f"{runs}: there is no such runs folder; --runs names another")
    return runs


_RUNS: dict[str, Any] = {
    "envvar": "FACTORLAB_RUNS",
    "file_okay": False,
    "help": "Folder of all records.",
}
Runs = Annotated[Path, typer.Option("--runs", **_RUNS)]
ExistingRuns = Annotated[Path, typer.Option("--runs", **_RUNS, callback=_existing)]
Name = Annotated[str, typer.Argument(help="An experiment, or a sweep by its full name.")]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile of the experiment.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting by its dotted key, or the values of an axis; axes.KEY=[...] makes an axis "
        "of a setting. Values are YAML; one option may hold several, apart by spaces; repeatable.",
    ),
]
Figures = Annotated[Path, typer.Option("--figures", file_okay=False, help="Folder of all figures.")]
Address = Annotated[str | None, typer.Option("--address", help="Address of a Ray cluster.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# Typer names no public base of its complaints about options; this is it, in every version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

DEFAULT_RUNS = Path("runs")
DEFAULT_FIGURES = Path("figures")


@app.command()
def sweep(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Experiments by name or YAML file.")
    ],
    profile: Profile = None,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    address: Address = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train failed trials again.")
    ] = False,
    runs: Runs = DEFAULT_RUNS,
    figures: Figures = DEFAULT_FIGURES,
) -> None:
    """Train every trial of experiments that is not done yet, measure, and draw figures."""
    from sweeps.planning import experiment as experiments  # noqa: PLC0415
    from sweeps.planning.overrides import parse_overrides  # noqa: PLC0415
    from sweeps.series import run_sweeps  # noqa: PLC0415
    from sweeps.sweep import price_sweeps  # noqa: PLC0415

    changes = parse_overrides(overrides or [])
    chosen = [experiments.load(name, profile, changes) for name in names]
    if dry_run:
        price_sweeps(chosen, runs, retry_failed=retry_failed, console=Console(markup=False))
        return
    _open_store(runs)
    code = run_sweeps(
        chosen, runs, figures, retry_failed=retry_failed, address=address, console=console
    )
    raise typer.Exit(code)


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Experiments; by default all.")
    ] = None,
    profile: Profile = None,
    address: Address = None,
    runs: Runs = DEFAULT_RUNS,
    figures: Figures = DEFAULT_FIGURES,
) -> None:
    """Sweep the project's experiments and write a page: the papers' findings beside what shows."""
    from sweeps.failures import Failure, show  # noqa: PLC0415
    from sweeps.planning import experiment as experiments  # noqa: PLC0415
    from sweeps.reporting import replication_report  # noqa: PLC0415
    from sweeps.series import run_sweeps  # noqa: PLC0415

    chosen = [
        experiments.load(name, profile, {}) for name in names or replication_report.available()
    ]
    replication_report.check(chosen)
    _open_store(runs)
    code = run_sweeps(chosen, runs, figures, retry_failed=False, address=address, console=console)
    failed: list[Failure] = []
    typer.echo(
        str(replication_report.write(runs, figures, profile or experiments.DEFAULT_PROFILE, failed))
    )
    show(failed, "", console)
    raise typer.Exit(max(code, 1 if failed else 0))


@app.command()
def train(overrides: Overrides = None, runs: Runs = DEFAULT_RUNS) -> None:
    """Train one run in this process, without Ray, and print its result."""
    from sweeps.execution.single_run import train_one  # noqa: PLC0415 - torch costs seconds

    result = train_one(overrides or [], runs, console)
    if result is None:
        console.print("stopped; the same command goes on from here")
        raise typer.Exit(INTERRUPTED)
    typer.echo(json.dumps(result, indent=2))


@app.command()
def status(
    name: Name, profile: Profile = None, as_json: AsJson = False, runs: ExistingRuns = DEFAULT_RUNS
) -> None:
    """Say how far a sweep is."""
    from sweeps.planning import plan  # noqa: PLC0415
    from sweeps.reporting import reports  # noqa: PLC0415

    found = reports.status(plan.find(runs, name, profile))
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=2))
        return
    counts = ", ".join(f"{count} {state}" for state, count in found.counts.items())
    typer.echo(f"{found.sweep}: {counts}")
    if found.seconds_left:
        typer.echo(f"about {duration(found.seconds_left)} of training left, on one core")
    failures = [f"failed: {trial}: {reason}" for trial, reason in found.failures.items()]
    for line in first_of(failures, "; --json has them all"):
        typer.echo(line)


@app.command()
def figures(
    name: Name,
    profile: Profile = None,
    runs: ExistingRuns = DEFAULT_RUNS,
    folder: Figures = DEFAULT_FIGURES,
) -> None:
    """Draw a sweep's figures from its records: PNG, PDF and the CSV behind each panel."""
    from sweeps.failures import show  # noqa: PLC0415
    from sweeps.planning import plan  # noqa: PLC0415
    from sweeps.reporting import reports  # noqa: PLC0415

    found = plan.find(runs, name, profile)
    check_writable(folder)
    written, failed = reports.draw(found, folder)
    for path in written:
        typer.echo(str(path))
    show(failed, found.sweep, console)
    raise typer.Exit(1 if failed else 0)


@app.command()
def illustrate(
    names: Annotated[list[str] | None, typer.Argument(help="Figures; by default all.")] = None,
    folder: Figures = DEFAULT_FIGURES,
) -> None:
    """Draw the figures that need no trial: images, the network, percolation theory."""
    from sweeps.failures import Failure, show  # noqa: PLC0415
    from sweeps.reporting import reports  # noqa: PLC0415

    failed: list[Failure] = []
    for path in reports.illustrate(names, folder, failed):
        typer.echo(str(path))
    show(failed, "", console)
    raise typer.Exit(1 if failed else 0)


@app.command()
def analyse(
    name: Annotated[str, typer.Argument(help="A sweep, or the start of a trial's key.")],
    profile: Profile = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="A layer that was kept; by default all.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the measures.")] = 0,
    address: Address = None,
    runs: ExistingRuns = DEFAULT_RUNS,
) -> None:
    """Measure the representations that trials kept, into their records and MLflow runs."""
    from sweeps.execution import cluster  # noqa: PLC0415
    from sweeps.execution import measuring as analysis  # noqa: PLC0415
    from sweeps.tracking.sync_all import synchronise  # noqa: PLC0415

    _open_store(runs)
    chosen = analysis.subjects(runs, name, profile)
    try:
        complete = analysis.analyse_all(
            chosen, runs, layer=layer, seed=seed, address=address, console=console
        )
    finally:
        cluster.disconnect()
    total, problems = synchronise(runs, console, {subject.key for subject in chosen})
    typer.echo(str(total))
    raise typer.Exit(0 if complete and not problems else 1)


@app.command()
def export(
    name: Name,
    path: Annotated[Path, typer.Argument(help="A .parquet or .csv file.")],
    profile: Profile = None,
    runs: ExistingRuns = DEFAULT_RUNS,
) -> None:
    """Write a sweep's trials as a table, one row a trial."""
    from sweeps.planning import plan  # noqa: PLC0415
    from sweeps.reporting import reports  # noqa: PLC0415

    count = reports.export(plan.find(runs, name, profile), path)
    console.print(f"{path}: {count} trials", highlight=False)


@app.command()
def sync(runs: ExistingRuns = DEFAULT_RUNS) -> None:
    """Send MLflow whatever it missed, of all sweeps."""
    from sweeps.tracking import sync_all  # noqa: PLC0415

    sync_all.check_folder(runs)
    _open_store(runs)
    total, problems = sync_all.synchronise(runs, console)
    typer.echo(str(total))
    raise typer.Exit(1 if problems else 0)


def _open_store(runs: Path) -> None:
    """Refuse a tracking URI that cannot work, and mend a store that was moved."""
    from sweeps.tracking.sync_thread import open_store  # noqa: PLC0415

    note = open_store(runs)
    if note is not None:
        console.print(note, highlight=False, soft_wrap=True)


@app.command()
def ui(
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 5000,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    runs: ExistingRuns = DEFAULT_RUNS,
) -> None:
    """Serve the MLflow UI over the runs, on this machine alone unless --host says otherwise."""
    from sweeps.tracking.store.server import serve  # noqa: PLC0415

    serve(runs, host, port, console)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Treat a polite request to end like Ctrl-C."""
    raise KeyboardInterrupt


def _check_working_folder() -> None:
    """Refuse a file by which numba compiles other kernels, depending on where one stands.

    Raises:
        UserError: there is one.
    """
    path = Path(".numba_config.yaml")
    if path.exists():
        raise UserError(
            f"{path}: numba reads it from the working folder, and it can change results; remove it "
            "or set the same as NUMBA_... variables of the environment"
        )


def main() -> None:
    """Run the command line; the entry point of `factorlab`."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # no child imports from the working folder
    cache_folder.provide()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        _check_working_folder()
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except UserError as error:
        typer.echo(f"factorlab: {error}", err=True)
        sys.exit(2)
    except _UsageError as error:
        message = getattr(error, "format_message", error.__str__)().rstrip(".")
        typer.echo(f"factorlab: {message} (see factorlab --help)", err=True)
        sys.exit(2)
    except OSError as error:
        reason = user_message(error)
        if reason is None:
            raise
        typer.echo(f"factorlab: {reason}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # Typer makes this of a Ctrl-C in a command, and says nothing
        typer.echo("factorlab: interrupted", err=True)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
