"""Clusters of one randomly thinned lattice below, at and above the critical fraction.

The sites kept at a smaller fraction are a subset of those kept at a larger one. Data: `sites` and
`summary`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.style import LETTERS, title
from percolation import Link, critical_fraction, labels, lattice, lattice_links, lattice_shape

# Colours of empty sites, of the largest clusters by decreasing size, and of all smaller clusters.
_RANKED = (COLOURS[5], COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3])
_LOOKS = ("white", *_RANKED, "0.78")


def draw(
    *,
    size: int = 128,
    spacing: float = 1.0,
    sigma: float = 0.5,
    threshold: float = 0.5,
    relative: Sequence[float] = (0.85, 1.0, 1.15),
    realisations: int = 400,
    seed: int = 0,
) -> Drawing:
    """Draw the clusters of one random order of the sites.

    Args:
        size: Side N of the frame in pixels.
        spacing: Increment d of the lattice in pixels.
        sigma: Spread of the bumps in pixels.
        threshold: Overlap above which two bumps are linked (continuum).
        relative: Fractions of kept sites, in units of the critical fraction; one panel each.
        realisations: Number of realisations for the critical fraction, at least 2.
        seed: Seed of the order of the sites and of the realisations.

    Returns:
        The figure and its data: `sites` (kept sites with their cluster, 0 for the largest) and
        `summary` (fractions and mass ratios).

    Raises:
        ValueError: No two bumps are linked, or a parameter is out of its range.
    """
    point = critical_fraction(sigma, threshold, spacing, realisations=realisations, seed=seed)
    if point is None:
        raise ValueError(
            f"sigma = {sigma} and threshold = {threshold} link no two bumps {spacing} pixels apart."
        )
    panels = _thin(
        Link(sigma=sigma, threshold=threshold), size, spacing, point.value, relative, seed
    )
    with styled():
        figure = Figure(figsize=(3.4 * len(relative), 4.5), layout="constrained")
        row = figure.subplots(1, len(relative), sharex=True, sharey=True, squeeze=False)[0]
        _draw_panels(row, panels, size, spacing)
        figure.suptitle(
            f"Kept sites of one lattice: σ = {sigma:g} px, d = {spacing:g} px, joined if overlap > "
            f"{threshold:g} ({point.neighbours} neighbours, $λ_c$ = {point.value:.3f})",
            fontsize=10,
        )
        figure.legend(handles=_handles(), loc="outside lower center", ncols=len(_LOOKS))
    return Drawing(figure=figure, panels=panels)


def _thin(
    link: Link, size: int, spacing: float, critical: float, relative: Sequence[float], seed: int
) -> dict[str, pd.DataFrame]:
    """Find the clusters of increasing fractions of one random order of the sites."""
    links, centres = lattice_links(size, spacing, link), lattice(size, spacing)
    order = np.random.default_rng(seed).permutation(links.sites)
    parts, rows = [], []
    for ratio in relative:
        fraction = ratio * critical
        if not 0 < fraction <= 1:
            raise ValueError(
                f"relative is {ratio}, but lambda would be {fraction:g} and must lie in (0, 1]."
            )
        kept = order[: max(1, round(fraction * links.sites))]
        cluster = labels(links, kept)
        x, y = centres[kept].T
        parts.append(pd.DataFrame({"relative": ratio, "x": x, "y": y, "cluster": cluster}))
        largest = int((cluster == 0).sum())
        rows.append((ratio, fraction, critical, len(kept), largest, largest / len(kept)))
    columns = ["relative", "fraction", "critical", "sites_kept", "largest", "mass_ratio"]
    return {
        "sites": pd.concat(parts, ignore_index=True),
        "summary": pd.DataFrame(rows, columns=columns),
    }


def _draw_panels(
    row: NDArray[Any], panels: dict[str, pd.DataFrame], size: int, spacing: float
) -> None:
    """Draw one panel per fraction of kept sites."""
    sites, summary = panels["sites"], panels["summary"]
    for letter, axes, ratio, share in zip(
        LETTERS, row, summary["relative"], summary["mass_ratio"], strict=False
    ):
        _draw_sites(axes, sites[sites["relative"] == ratio], size, spacing)
        factor = "" if ratio == 1 else rf"{ratio:g}\,"
        title(axes, letter, rf"$λ = {factor}λ_c$: {100 * share:.0f} % in the largest")
    row[0].set_ylabel("y (pixels)")


def _draw_sites(axes: Axes, sites: pd.DataFrame, size: int, spacing: float) -> None:
    """Draw each site as a square with a side of one increment."""
    column, line = (
        np.round((sites[name].to_numpy() - 1) / spacing).astype(int) for name in ("x", "y")
    )
    count, _ = lattice_shape(size, spacing)
    colours = np.zeros((count, count), dtype=int)
    colours[line, column] = np.minimum(sites["cluster"].to_numpy(), len(_RANKED)) + 1
    low, high = 1 - spacing / 2, 1 + (count - 0.5) * spacing
    axes.imshow(
        colours,
        cmap=ListedColormap(_LOOKS),
        vmin=-0.5,
        vmax=len(_LOOKS) - 0.5,
        extent=(low, high, high, low),  # row 1 on top
        interpolation="nearest",
    )
    axes.spines[:].set_visible(True)
    axes.set_xlabel("x (pixels)")


def _handles() -> list[Patch]:
    names = ("largest cluster", "second", "third", "fourth", "fifth", "smaller", "not kept")
    colours = (*_LOOKS[1:], _LOOKS[0])
    return [
        Patch(facecolor=colour, edgecolor="0.5", lw=0.5, label=name)
        for colour, name in zip(colours, names, strict=True)
    ]
