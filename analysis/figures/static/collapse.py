"""Finite-size scaling: curves of tori of several sides collapse near lambda_c.

Left: size of the largest cluster over the number of sites. Middle: the same times `L^(beta/nu)`,
against `(lambda - lambda_c) L^(1/nu)`. Right: mean cluster size times `L^(-gamma/nu)`. Data:
`plain` and `scaled`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import GREY, line_style, title
from analysis.tables.selection import where
from percolation import mass_ratio, square_links

# Critical fraction of the square lattice with links to the four nearest neighbours (Newman and Ziff
# 2001), and the exponents of percolation in two dimensions (den Nijs 1979; Nienhuis 1982).
CRITICAL = 0.592746
NU, BETA, GAMMA = 4 / 3, 5 / 36, 43 / 18

# Largest |(lambda - lambda_c) L^(1/nu)| of the scaled curves, and lambda range of the plain curves.
_SCALED = 2.5
_RANGE = (0.5, 0.7)


def draw(
    *,
    sides: Sequence[int] = (32, 64, 128, 256),
    points: int = 21,
    realisations: int = 100,
    seed: int = 0,
) -> Drawing:
    """Plot cluster sizes of tori of several sides, plain and scaled.

    Args:
        sides: Sides L of the tori, in sites.
        points: Number of lambdas from 0.5 to 0.7, and number of scaled distances from lambda_c.
        realisations: Number of realisations per average.
        seed: Seed of the realisations.

    Returns:
        The figure and its data with standard errors: `plain` (the same lambdas for every side) and
        `scaled` (the same scaled distances for every side).

    Raises:
        ValueError: A parameter is out of its range.
    """
    tables = [_curves(side, points, realisations, seed) for side in sides]
    plain, scaled = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    with styled():
        figure = Figure(figsize=(10.5, 4.0), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        for i, side in enumerate(sides):
            near = where(scaled, side=side)
            _plot(left, where(plain, side=side), "fraction", "mass_ratio", i)
            _plot(middle, near, "scaled_distance", "scaled_mass_ratio", i)
            _plot(right, near, "scaled_distance", "scaled_mean_size", i)
        _finish(left, middle, right)
        figure.legend(
            *left.get_legend_handles_labels(),
            title="Tori of L × L sites, links to the four next ones",
            title_fontsize=9,
            loc="outside upper center",
            ncols=len(sides),
        )
    return Drawing(figure=figure, panels={"plain": plain, "scaled": scaled})


def _curves(
    side: int, points: int, realisations: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the plain and the scaled curves of one torus."""
    zoom = side ** (1 / NU)
    near = CRITICAL + np.linspace(-_SCALED, _SCALED, points) / zoom
    near = near[(near > 0) & (near < 1)]
    fractions = np.concatenate([np.linspace(*_RANGE, points), near])
    curve = mass_ratio(
        square_links(side, radius2=1),
        fractions.tolist(),
        occupation="smoothed",
        realisations=realisations,
        seed=seed,
    )
    for_ratio, for_size = side ** (BETA / NU), side ** (-GAMMA / NU)
    table = pd.DataFrame(
        {
            "side": side,
            "fraction": fractions,
            "mass_ratio": curve.mass_ratio_all,
            "mass_ratio_error": curve.all_error,
            "mean_size": curve.mean_size,
            "mean_size_error": curve.size_error,
            "scaled_distance": (fractions - CRITICAL) * zoom,
            "scaled_mass_ratio": curve.mass_ratio_all * for_ratio,
            "scaled_mass_ratio_error": curve.all_error * for_ratio,
            "scaled_mean_size": curve.mean_size * for_size,
            "scaled_mean_size_error": curve.size_error * for_size,
        }
    )
    own = [name for name in table if "scaled" not in str(name)]
    return table.loc[: points - 1, own], table.loc[points:]


def _plot(axes: Axes, curve: pd.DataFrame, x: str, y: str, index: int) -> None:
    """Plot a curve with symbols and standard errors."""
    colour, marker = line_style(index)
    axes.errorbar(
        curve[x],
        curve[y],
        curve[f"{y}_error"].fillna(0),
        color=colour,
        marker=marker,
        ms=3.5,
        lw=1.1,
        elinewidth=0.8,
        label=f"L = {curve['side'].iloc[0]}",
    )


def _finish(left: Axes, middle: Axes, right: Axes) -> None:
    title(left, "a", "Largest cluster")
    title(middle, "b", "Largest cluster, scaled")
    title(right, "c", "Mean cluster size, scaled")
    left.set(xlabel="Share of the sites kept, λ", ylabel="Share of all sites, P", xlim=_RANGE)
    left.set_xticks(np.linspace(*_RANGE, 5))
    middle.set_ylabel(r"$P\,L^{\beta/\nu}$,  β/ν = 5/48")
    right.set_ylabel(r"$\chi\,L^{-\gamma/\nu}$,  γ/ν = 43/24")
    left.axvline(CRITICAL, color=GREY, lw=0.8, ls="--", zorder=0)
    left.annotate(
        rf"$λ_c$ = {CRITICAL:g}",
        (CRITICAL, 0.97),
        (-4, 0),
        ha="right",
        va="top",
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color="0.35",
        fontsize=8,
    )
    for axes in (middle, right):
        axes.axvline(0, color=GREY, lw=0.8, ls="--", zorder=0)
        axes.set_xlabel(r"$(λ - λ_c)\,L^{1/\nu}$,  1/ν = 3/4")
