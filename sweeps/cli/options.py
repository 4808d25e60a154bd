"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from factorlab.errors import UserError

console = Console(stderr=True, markup=False)  # texts of others have brackets in them
"""Progress and messages; results go to standard output."""

DEFAULT_RUNS = Path("runs")
DEFAULT_FIGURES = Path("figures")


def _existing(runs: Path) -> Path:
    """Refuse a runs folder that does not exist, which a command that reads would take for empty.

    Raises:
        UserError: it does not exist.
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
        help="Set a setting by its dotted key, or the values of an axis; axes.KEY=[...] makes an "
        "axis of a setting. Values are YAML. Repeatable; one option may hold several, separated "
        "by spaces.",
    ),
]
Figures = Annotated[Path, typer.Option("--figures", file_okay=False, help="Folder of all figures.")]
Address = Annotated[str | None, typer.Option("--address", help="Address of a Ray cluster.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_store(runs: Path) -> None:
    """Refuse a tracking URI that cannot work, and repair a store that was moved."""
    from sweeps.tracking.sync_thread import open_store as check  # noqa: PLC0415

    note = check(runs)
    if note is not None:
        console.print(note, highlight=False, soft_wrap=True)
