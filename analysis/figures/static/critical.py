"""Critical fractions of lattices, and predicted numbers of samples.

Left: critical fraction lambda_c against the increment d, with the asymptotic law of dense lattices.
Right: number of samples predicted by percolation against N. Data: `shares` and `samples`.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import GREY, line_style, plain_log, title
from analysis.scaling.predictions import predictions_table
from analysis.tables.selection import where
from percolation import critical_point, radius

# Limit of the critical fraction times the number of neighbours for many neighbours: overlapping
# discs (Xun, Hao and Ziff 2021, arXiv 2010.02895).
CONTINUUM = 4.51235

# Largest reach of a link in increments; beyond it the law of dense lattices holds.
_REACH = 12


def draw(
    *,
    pairs: Sequence[tuple[float, float]] = ((0.5, 0.5), (0.5, 0.05), (1.0, 0.05), (2.0, 0.05)),
    steps: int = 28,
    sizes: Sequence[int] = (8, 12, 16, 24, 32, 48, 64, 96, 128),
    thresholds: Sequence[float] = (0.005, 0.05, 0.2, 0.5),
    sigma: float = 1.0,
    spacing: float = 0.5,
    level: float = 0.6,
    realisations: int = 50,
    seed: int = 0,
) -> Drawing:
    """Plot critical fractions and predicted numbers of samples.

    Args:
        pairs: Spread in pixels and overlap threshold of each curve on the left.
        steps: Number of increments per curve on the left.
        sizes: Sides N of the frames on the right, in pixels.
        thresholds: Overlaps above which two bumps are linked, on the right.
        sigma: Spread of the bumps on the right, in pixels.
        spacing: Increment d of the lattice on the right, in pixels.
        level: Share of the kept bumps that the largest cluster must hold.
        realisations: Number of realisations per value, at least 2.
        seed: Seed of the realisations.

    Returns:
        The figure and its data: `shares` and `samples`, with standard errors.

    Raises:
        ValueError: A parameter is out of its range.
    """
    shares = _shares(pairs, steps, realisations, seed)
    samples = predictions_table(
        sizes,
        spacing=spacing,
        sigma=sigma,
        thresholds=thresholds,
        level=level,
        realisations=realisations,
        seed=seed,
    )
    with styled():
        figure = Figure(figsize=(9.6, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_shares(left, shares, pairs)
        _draw_samples(right, samples, level)
        title(left, "a", "Critical share of an endless lattice")
        title(right, "b", f"Samples that connect a frame (σ = {sigma:g} px, d = {spacing:g} px)")
    return Drawing(figure=figure, panels={"shares": shares, "samples": samples})


def _shares(
    pairs: Sequence[tuple[float, float]], steps: int, realisations: int, seed: int
) -> pd.DataFrame:
    """Estimate critical fractions, from the widest increment with links down to dense lattices.

    They depend only on R / d, so all curves share the same estimates.
    """
    ratios = np.geomspace(1.001, _REACH, steps).tolist()  # R / d
    points = [critical_point(r**2, realisations=realisations, seed=seed) for r in ratios]
    rows = []
    for sigma, threshold in pairs:
        reach = radius(sigma, threshold)
        for ratio, point in zip(ratios, points, strict=True):
            dense = CONTINUUM / (math.pi * ratio**2)
            rows.append(
                (
                    sigma,
                    threshold,
                    reach / ratio,
                    point.value,
                    point.error,
                    point.neighbours,
                    dense,
                )
            )
    columns = ["sigma", "threshold", "spacing", "critical", "error", "neighbours", "dense"]
    return pd.DataFrame(rows, columns=columns)


def _draw_shares(axes: Axes, shares: pd.DataFrame, pairs: Sequence[tuple[float, float]]) -> None:
    """Draw the left panel: estimates as symbols, the law of dense lattices as dashed lines."""
    dashes = (0, (3, 1.5))
    for i, (sigma, threshold) in enumerate(pairs):
        colour, marker = line_style(i)
        rows = where(shares, sigma=sigma, threshold=threshold)
        axes.plot(rows["spacing"], rows["dense"], color=colour, lw=0.9, ls=dashes)
        axes.errorbar(
            rows["spacing"],
            rows["critical"],
            rows["error"],
            color=colour,
            marker=marker,
            ms=3.2,
            ls="",
            elinewidth=0.8,
            label=f"σ = {sigma:g} px, overlap > {threshold:g}",
        )
    law = rf"dense lattices: $λ_c = {CONTINUUM:g}\,/\,[π (R/d)^2]$"
    axes.plot([], [], color="0.3", lw=0.9, ls=dashes, label=f"{law}\nwith R the reach of a link")
    axes.set(xscale="log", yscale="log", ylim=(0.001, 1))
    axes.set(xlabel="Increment of the lattice, d (px)", ylabel="Critical share of the sites, λ$_c$")
    plain_log(axes.xaxis, (1, 2, 5))
    plain_log(axes.yaxis)
    axes.legend(loc="lower right")


def _draw_samples(axes: Axes, samples: pd.DataFrame, level: float) -> None:
    """Draw the right panel: one curve per threshold, and a guide line of slope 2."""
    for i, threshold in enumerate(dict.fromkeys(samples["threshold"])):
        colour, marker = line_style(i)
        rows = where(samples, threshold=threshold)
        axes.errorbar(
            rows["size"],
            rows["value"],
            rows["error"].fillna(0),
            color=colour,
            marker=marker,
            ms=4.5,
            lw=1.1,
            capsize=2,
            elinewidth=0.8,
            label=f"overlap > {threshold:g}",
        )
    sizes = np.array(sorted(set(samples["size"])), dtype=np.float64)
    ends = sizes[[0, -1]]
    guide = 2 * samples["value"].max() * (ends / ends[-1]) ** 2
    axes.plot(ends, guide, color=GREY, lw=0.9, ls=(0, (6, 3)), label="slope 2")
    axes.axhline(2, color=GREY, lw=0.7, zorder=0)
    axes.annotate(
        "2: any two bumps overlap",
        (1, 2),
        (-2, 3),
        ha="right",
        fontsize=7,
        color="0.35",
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
    )
    axes.set(xscale="log", yscale="log", xlabel="Side of the frame, N (pixels)")
    axes.set_ylabel(f"Samples with {100 * level:g} % of them in one cluster")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    plain_log(axes.yaxis)
    axes.legend(loc="upper left")
