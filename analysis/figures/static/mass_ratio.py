"""Largest cluster against the fraction of the lattice kept ([F] Figs 6c, 13 and 14b).

One panel per overlap threshold, one colour per spread of the bumps. Data: `curves` and `critical`.
"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.style import LETTERS, plain_log, title
from analysis.tables.selection import where
from percolation import Link, critical_fraction, even_fractions, lattice_links, mass_ratio

_COLUMNS = 2
_SHARED: dict[str, Any] = {"sharex": True, "sharey": True, "squeeze": False}
_ALL = (0, (2, 1.5))  # line style of the share of all sites
_MARK: dict[str, Any] = {"marker": "^", "mec": "white", "mew": 0.5, "ms": 8, "ls": ""}


def draw(
    *,
    sigmas: Sequence[float] = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0),
    thresholds: Sequence[float] = (0.005, 0.05, 0.2, 0.5),
    size: int = 32,
    spacing: float = 1.0,
    points: int = 60,
    realisations: int = 100,
    seed: int = 0,
) -> Drawing:
    """Plot the transition from isolated bumps to one large cluster.

    Args:
        sigmas: Spreads of the bumps in pixels.
        thresholds: Overlaps above which two bumps are linked (continuum), one panel each.
        size: Side N of the frame in pixels.
        spacing: Increment d of the lattice in pixels.
        points: Number of lambdas, spaced logarithmically from two kept sites on. A single site is
            a cluster, and its mass ratio of 1 is meaningless.
        realisations: Number of realisations per average and per critical fraction, at least 2.
        seed: Seed of the realisations.

    Returns:
        The figure and its data: `curves` (mass ratios with standard errors) and `critical`
        (critical fractions of infinite lattices; NaN if no two bumps are linked).

    Raises:
        ValueError: A parameter is out of its range.
    """
    pairs = [(threshold, sigma) for threshold in thresholds for sigma in sigmas]
    panels = {
        "curves": pd.concat(
            [_curve(*pair, size, spacing, points, realisations, seed) for pair in pairs],
            ignore_index=True,
        ),
        "critical": pd.DataFrame(
            [_critical(*pair, spacing, realisations, seed) for pair in pairs],
            columns=["threshold", "sigma", "neighbours", "critical", "error"],
        ),
    }
    rows = math.ceil(len(thresholds) / _COLUMNS)
    with styled():
        figure = Figure(figsize=(9.6, 3.1 * rows + 0.5), layout="constrained")
        _draw_panels(figure.subplots(rows, _COLUMNS, **_SHARED), panels)
        figure.suptitle(
            f"Frame of N = {size} pixels, lattice of increment d = {spacing:g} px", fontsize=10
        )
        figure.legend(handles=_handles(), loc="outside lower center", ncols=4)
    return Drawing(figure=figure, panels=panels)


def _curve(
    threshold: float,
    sigma: float,
    size: int,
    spacing: float,
    points: int,
    realisations: int,
    seed: int,
) -> pd.DataFrame:
    """Compute mass ratios from two kept sites to all, at whole numbers of sites."""
    links = lattice_links(size, spacing, Link(sigma=sigma, threshold=threshold))
    fractions = even_fractions(links.sites, points)
    curve = mass_ratio(links, fractions, realisations=realisations, seed=seed)
    return pd.DataFrame(
        {
            "threshold": threshold,
            "sigma": sigma,
            "fraction": curve.fraction,
            "sites_kept": curve.sites_kept.astype(int),
            "mass_ratio_kept": curve.mass_ratio_kept,
            "kept_error": curve.kept_error,
            "mass_ratio_all": curve.mass_ratio_all,
            "all_error": curve.all_error,
        }
    )


def _critical(
    threshold: float, sigma: float, spacing: float, realisations: int, seed: int
) -> tuple[float, float, int, float, float]:
    """Return a row of the table of critical fractions; NaN if no two bumps are linked."""
    point = critical_fraction(sigma, threshold, spacing, realisations=realisations, seed=seed)
    if point is None:
        return threshold, sigma, 0, math.nan, math.nan
    return threshold, sigma, point.neighbours, point.value, point.error


def _draw_panels(grid: NDArray[Any], panels: dict[str, pd.DataFrame]) -> None:
    """Draw one panel per threshold, row by row."""
    thresholds = list(dict.fromkeys(panels["critical"]["threshold"]))
    used, spare = grid.flat[: len(thresholds)], grid.flat[len(thresholds) :]
    for letter, axes, threshold in zip(LETTERS, used, thresholds, strict=False):
        curves, critical = (where(table, threshold=threshold) for table in panels.values())
        _draw_panel(axes, curves, critical)
        title(axes, letter, f"Joined if overlap > {threshold:g}")
    for axes in used[-_COLUMNS:]:
        axes.set_xlabel("Share of the lattice kept, λ (%)")
        axes.xaxis.set_tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("Sites in the largest cluster (%)")
    for axes in spare:
        axes.remove()


def _draw_panel(axes: Axes, curves: pd.DataFrame, critical: pd.DataFrame) -> None:
    """Draw all spreads at one threshold.

    Spreads with equal numbers of neighbours have the same curve; dashes show all their colours.
    """
    neighbours = critical.set_index("sigma")["neighbours"]
    sigmas = list(critical["sigma"])
    handles = []
    for i, sigma in enumerate(sigmas):
        same = [other for other in sigmas if neighbours[other] == neighbours[sigma]]
        colour, line = COLOURS[i % len(COLOURS)], _dashes(same.index(sigma), len(same))
        curve = where(curves, sigma=sigma)
        percent = 100 * curve["fraction"]
        axes.plot(percent, 100 * curve["mass_ratio_all"], color=colour, lw=0.9, ls=_ALL)
        axes.plot(percent, 100 * curve["mass_ratio_kept"], color=colour, ls=line)
        axes.fill_between(
            percent,
            100 * (curve["mass_ratio_kept"] - curve["kept_error"]),
            100 * (curve["mass_ratio_kept"] + curve["kept_error"]),
            color=colour,
            alpha=0.25,
            lw=0,
        )
        mark = 100 * where(critical, sigma=sigma)["critical"]
        axes.plot(mark, [0], color=colour, clip_on=False, zorder=5, **_MARK)
        text = f"{sigma:g} px: {neighbours[sigma] or 'none'}"
        handles.append(Line2D([], [], color=colour, label=text))
    axes.legend(
        handles=handles,
        title="σ: neighbours",
        title_fontsize=8,
        alignment="left",
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        handlelength=1.4,
    )
    axes.set(xscale="log", ylim=(0, 103))
    plain_log(axes.xaxis, (1, 2, 5))


def _handles() -> list[Line2D]:
    mark = r"critical share $λ_c$ of an endless lattice"
    return [
        Line2D([], [], color="0.3", label="share of the sites kept"),
        Line2D([], [], color="0.3", lw=0.9, ls=_ALL, label="share of all sites"),
        Line2D([], [], color="0.3", label=mark, **_MARK),
    ]


def _dashes(index: int, count: int) -> str | tuple[float, tuple[float, float]]:
    """Return a line style that interleaves the dashes of `count` identical curves."""
    return "-" if count == 1 else (4.0 * index, (4.0, 4.0 * (count - 1)))
