"""`factorlab percolate`: curves and critical points of percolation theory.

Nothing is trained and no record is read.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from factorlab.errors import UserError
from factorlab.system.cores import usable
from sweeps.cli.options import AsJson

if TYPE_CHECKING:
    from percolation import MassRatio

app = typer.Typer(
    help="Percolation of overlapping bumps: curves, critical points.",
    rich_markup_mode=None,
)

PATIENCE = 2.0
"""Seconds that work may take before its progress is shown."""

Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the random orders.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads; all cores by default.")
]


@app.command()
def curve(
    size: Annotated[int, typer.Option("--size", help="Side N of the frame in pixels.")],
    spacing: Annotated[
        list[float], typer.Option("--spacing", help="Lattice increment d in pixels; twice: x, y.")
    ],
    sigma: Annotated[float, typer.Option("--sigma", help="Spread of the bumps in pixels.")],
    threshold: Annotated[
        float, typer.Option("--threshold", help="Overlap above which two bumps are joined.")
    ],
    overlap: Annotated[
        Literal["continuum", "pixel"], typer.Option("--overlap", help="How overlap is measured.")
    ] = "continuum",
    edges: Annotated[
        Literal["open", "periodic"],
        typer.Option("--edges", help="Whether the frame is a torus."),
    ] = "open",
    occupation: Annotated[
        Literal["exact", "probability", "smoothed"],
        typer.Option("--occupation", help="How many sites a lambda keeps."),
    ] = "exact",
    fractions: Annotated[
        list[float] | None, typer.Option("--lambda", help="A share of sites kept; repeatable.")
    ] = None,
    points: Annotated[
        int, typer.Option("--points", min=2, max=100_000, help="Lambdas of the curve, at most.")
    ] = 50,
    realisations: Annotated[
        int, typer.Option("--realisations", min=1, help="Random orders to average over.")
    ] = 100,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Largest connected mass ratio against lambda."""
    from percolation import Link, Neighbours, even_fractions, lattice_links, mass_ratio, radius  # noqa: PLC0415 - numba takes a second

    steps = spacing[0] if len(spacing) == 1 else spacing
    with _users_mistakes(), _progress("linking the sites") as (show, report):
        link = Link(
            sigma=sigma,
            threshold=threshold,
            overlap=overlap,
            size=size if overlap == "pixel" else None,
        )
        links = lattice_links(size, steps, link, periodic=edges == "periodic")
        shares = fractions or even_fractions(links.sites, points)
        show("realisations", realisations)
        found = mass_ratio(
            links,
            shares,
            occupation=occupation,
            realisations=realisations,
            seed=seed,
            workers=workers or usable(),
            report=report,
        )
    facts = {
        # Pixels shape the links: their farthest is measured, not computed.
        "radius": links.longest if isinstance(links, Neighbours) else radius(sigma, threshold),
        "neighbours": links.neighbours,
        "sites": links.sites,
        "realisations": realisations,
        "seed": seed,
    }
    _print_curve(found, facts, as_json=as_json)


@app.command()
def critical(
    radius2: Annotated[
        float, typer.Option("--radius2", help="Squared distance up to which sites are linked.")
    ],
    lattice: Annotated[
        int | None, typer.Option("--lattice", help="Sites along each side of the torus.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", help="Simulate for so long; 10 by default."),
    ] = None,
    realisations: Annotated[
        int | None, typer.Option("--realisations", help="Stop after so many passes.")
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Critical share of the sites of a unit square lattice."""
    from percolation.critical import SECONDS, critical_point  # noqa: PLC0415 - numba

    if realisations is None and seconds is None:
        seconds = SECONDS
    what = ("seconds", seconds) if realisations is None else ("realisations", realisations)
    last = time.monotonic()
    with _users_mistakes(), _progress(*what) as (_, advance):

        def report(done: int) -> None:
            nonlocal last
            now = time.monotonic()
            advance(done if realisations else now - last)
            last = now

        found = critical_point(
            radius2,
            side=lattice,
            seconds=seconds,
            realisations=realisations,
            seed=seed,
            workers=workers or usable(),
            report=report,
        )
    if as_json:
        result = {
            "critical": found.value,
            "stderr": found.error,
            "neighbours": found.neighbours,
            "lattice": found.side,
            "realisations": found.realisations,
            "seed": seed,
        }
        typer.echo(json.dumps(result, indent=2))
        return
    typer.echo(
        f"{found.value:.6f} +- {found.error:.6f} ({found.neighbours} neighbours, torus of "
        f"{found.side} x {found.side} sites, {found.realisations} realisations, seed {seed})"
    )


def _print_curve(found: MassRatio, facts: dict[str, float], *, as_json: bool) -> None:
    """A curve and the facts about it, for a program or for people."""
    columns = {
        "lambda": found.fraction,
        "sites_kept": found.sites_kept,
        "mass_ratio_kept": found.mass_ratio_kept,
        "stderr": found.kept_error,
        "mass_ratio_all": found.mass_ratio_all,
        "stderr_all": found.all_error,
        "mean_size": found.mean_size,
        "stderr_mean_size": found.size_error,
    }
    if as_json:
        values = {name: [_plain(value) for value in column] for name, column in columns.items()}
        plain = {
            name: value if isinstance(value, int) else _plain(value)
            for name, value in facts.items()
        }
        typer.echo(json.dumps({**values, **plain}, indent=2))
        return
    typer.echo(" ".join(f"{name:>16}" for name in columns))
    for row in zip(*columns.values(), strict=True):
        typer.echo(" ".join(f"{value:16.6g}" for value in row))
    typer.echo(
        f"links reach {facts['radius']:.4g} pixels, {facts['neighbours']} neighbours, "
        f"{facts['sites']} sites, {facts['realisations']} realisations"
    )


@contextmanager
def _users_mistakes() -> Iterator[None]:
    """Turn a parameter out of its range into the user's one sentence."""
    from percolation import ParameterError  # noqa: PLC0415

    try:
        yield
    except ParameterError as error:
        raise UserError(str(error)) from None


@contextmanager
def _progress(
    what: str, total: float | None = None
) -> Iterator[tuple[Callable[[str, int], None], Callable[[float], None]]]:
    """A bar on standard error for work that takes over two seconds.

    Yields:
        A function that names the next piece of work and its length, and one that advances.
    """
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}")]
    console = Console(stderr=True, markup=False)
    progress = Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
    )
    task = progress.add_task(what, total=total)
    timer = Timer(PATIENCE, progress.start)  # stays silent where nobody watches

    def show(what: str, total: int) -> None:
        progress.update(task, description=what, total=total, completed=0)

    if console.is_terminal:
        timer.start()
    try:
        yield show, lambda count: progress.advance(task, count)
    finally:
        if timer.is_alive():
            timer.cancel()
            timer.join()
        if progress.live.is_started:
            progress.stop()


def _plain(value: float) -> float | None:
    """A number for JSON, which has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None
