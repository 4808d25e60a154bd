"""`factorlab percolate`: curves and critical points from percolation theory.

These commands neither train nor read records.
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
    help="Percolation of overlapping bumps: curves and critical points.",
    rich_markup_mode=None,
)

PATIENCE = 2.0
"""Seconds before a progress bar is shown."""

Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed of the site orders.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Number of threads; all cores by default.")
]


@app.command()
def curve(
    size: Annotated[int, typer.Option("--size", help="Side N of the frame in pixels.")],
    spacing: Annotated[
        list[float],
        typer.Option("--spacing", help="Lattice increment d in pixels; give it twice for x and y."),
    ],
    sigma: Annotated[float, typer.Option("--sigma", help="Spread of the bumps in pixels.")],
    threshold: Annotated[
        float, typer.Option("--threshold", help="Overlap above which two bumps are linked.")
    ],
    overlap: Annotated[
        Literal["continuum", "pixel"], typer.Option("--overlap", help="How overlap is computed.")
    ] = "continuum",
    edges: Annotated[
        Literal["open", "periodic"],
        typer.Option("--edges", help="Boundary of the frame; periodic makes it a torus."),
    ] = "open",
    occupation: Annotated[
        Literal["exact", "probability", "smoothed"],
        typer.Option("--occupation", help="How lambda sets the number of sites kept."),
    ] = "exact",
    fractions: Annotated[
        list[float] | None,
        typer.Option("--lambda", help="Share of sites kept; repeatable."),
    ] = None,
    points: Annotated[
        int,
        typer.Option(
            "--points", min=2, max=100_000, help="Maximum number of lambdas on the curve."
        ),
    ] = 50,
    realisations: Annotated[
        int,
        typer.Option("--realisations", min=1, help="Number of random site orders to average over."),
    ] = 100,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Compute the largest connected mass ratio as a function of lambda."""
    from percolation import Link, Neighbours, even_fractions, lattice_links, mass_ratio, radius  # noqa: PLC0415 - numba: a second

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
        # With pixel overlap the reach of the links has no closed form; use the longest link.
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
        typer.Option(
            "--seconds",
            help="Time limit of the simulation; 10 by default, none with --realisations.",
        ),
    ] = None,
    realisations: Annotated[
        int | None,
        typer.Option("--realisations", help="Maximum number of realisations."),
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the critical share of occupied sites of a unit square lattice."""
    from percolation.critical import SECONDS, critical_point  # noqa: PLC0415 - numba: a second

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
    """Print a curve and its parameters, as JSON or as a table."""
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
        f"link radius {facts['radius']:.4g} pixels, {facts['neighbours']} neighbours, "
        f"{facts['sites']} sites, {facts['realisations']} realisations"
    )


@contextmanager
def _users_mistakes() -> Iterator[None]:
    """Convert a `ParameterError` into a `UserError`."""
    from percolation import ParameterError  # noqa: PLC0415

    try:
        yield
    except ParameterError as error:
        raise UserError(str(error)) from None


@contextmanager
def _progress(
    what: str, total: float | None = None
) -> Iterator[tuple[Callable[[str, int], None], Callable[[float], None]]]:
    """Show a progress bar on standard error if the work takes longer than `PATIENCE`.

    Yields:
        A function that starts the next stage with a name and a length, and a function that
        advances the bar.
    """
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}")]
    console = Console(stderr=True, markup=False)
    progress = Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
    )
    task = progress.add_task(what, total=total)
    timer = Timer(PATIENCE, progress.start)

    def show(what: str, total: int) -> None:
        progress.update(task, description=what, total=total, completed=0)

    if console.is_terminal:  # no bar in redirected output
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
    """Return a number for JSON; None replaces NaN and infinity, which JSON does not have."""
    return float(value) if math.isfinite(value) else None
