"""Arguments and options shared by several commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from factorlab.errors import UserError

console = Console(stderr=True, markup=False)  # messages may quote text with brackets
"""Console for progress and messages; results go to standard output."""

DEFAULT_RUNS = Path("runs")
DEFAULT_FIGURES = Path("figures")


def _existing(runs: Path) -> Path:
    """Check that the runs folder exists. Commands that only read would take it for empty.

    Raises:
        UserError: The folder does not exist.
    """
    if not runs.is_dir():
        raise UserError(f"{runs}: the runs folder does not exist; select another with --runs")
    return runs


_RUNS: dict[str, Any] = {
    "envvar": "FACTORLAB_RUNS",
    "file_okay": False,
    "help": "Folder of all records.",
}
Runs = Annotated[Path, typer.Option("--runs", **_RUNS)]
ExistingRuns = Annotated[Path, typer.Option("--runs", **_RUNS, callback=_existing)]
Name = Annotated[str, typer.Argument(help="Name of an experiment, or full name of a sweep.")]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile of the experiment.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a setting by its dotted key, or the values of an axis. axes.KEY=[...] turns "
        "a setting into an axis. Values are YAML. Repeatable; one option may hold several pairs, "
        "separated by spaces.",
    ),
]
Figures = Annotated[Path, typer.Option("--figures", file_okay=False, help="Folder of all figures.")]


def _on_cluster(address: str | None) -> str | None:
    """Run the whole command on the head node if the address is one of Ray Client."""
    from sweeps.ray_runtime import on_head, ray_settings  # noqa: PLC0415 - few commands need it

    if address is None or not address.startswith(ray_settings.CLIENT):
        return address
    sys.exit(on_head.run(address, sys.argv[1:]))


Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Address of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT.",
        callback=_on_cluster,
    ),
]
SpoolUri = Annotated[
    str | None,
    typer.Option(
        "--spool",
        metavar="URI",
        envvar="FACTORLAB_SPOOL",
        help="Bucket for the records, such as s3://BUCKET/PATH, where the machines of a cluster "
        "share no disk.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_store(runs: Path) -> None:
    """Check the tracking URI, and repair the store if the runs folder was moved."""
    from sweeps.tracking.mlflow_sync import open_store as check  # noqa: PLC0415

    note = check(runs)
    if note is not None:
        console.print(note, highlight=False, soft_wrap=True)
