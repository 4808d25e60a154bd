"""Links between bumps, for several spreads and lattice increments ([F] Fig 6a).

One panel per spread: the image of one bump, the lattice of centres, and the neighbours linked to
the bump. Data: `sites`, `images` and `radii`.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.style import LETTERS, title
from percolation import Link, continuum, lattice, radius

_BLUE, _RED = COLOURS[0], COLOURS[5]
_OUTLINE = "white"


def draw(
    *,
    sigmas: Sequence[float] = (0.25, 0.5, 1.0),
    size: int = 17,
    spacing: tuple[float, float] = (2.0, 4.0),
    threshold: float = 0.05,
) -> Drawing:
    """Draw the neighbours that are linked to a bump.

    Args:
        sigmas: Spreads of the bumps in pixels, one panel each.
        size: Side N of the frame in pixels.
        spacing: Increments (d_x, d_y) of the lattice in pixels.
        threshold: Continuum overlap above which two bumps are linked.

    Returns:
        The figure and its data: `sites` (centres, their overlap with the bump in the middle, and
        whether they are linked to it), `images` (grey values) and `radii`.

    Raises:
        ValueError: A parameter is out of its range.
    """
    centres = lattice(size, spacing)
    chosen = int(np.argmin(np.hypot(*(centres - (1 + size) / 2).T)))
    parts = [_bump(centres, chosen, sigma, threshold, size) for sigma in sigmas]
    panels = {
        name: pd.concat([part[name] for part in parts], ignore_index=True)
        for name in ("sites", "images", "radii")
    }
    with styled():
        figure = Figure(figsize=(3.3 * len(sigmas), 4.2), layout="constrained")
        row = figure.subplots(1, len(sigmas), sharex=True, sharey=True, squeeze=False)[0]
        for letter, axes, part in zip(LETTERS, row, parts, strict=False):
            sigma, reach, count = part["radii"].iloc[0]
            _draw_image(axes, part["images"], size)
            _draw_sites(axes, part["sites"], centres[chosen], reach)
            _draw_increments(axes, spacing)
            title(axes, letter, f"σ = {sigma:g} px: {_neighbours(int(count))}")
            axes.set(xlabel="x (pixels)", aspect="equal")
            axes.set(xlim=(-1.6, size + 0.8), ylim=(size + 0.8, -1.6))  # row 1 on top
        row[0].set_ylabel("y (pixels)")
        row[0].set_xticks(range(1, size + 1, 4))
        row[0].set_yticks(range(1, size + 1, 4))
        figure.legend(handles=_handles(threshold), loc="outside lower center", ncols=2)
    return Drawing(figure=figure, panels=panels)


def _bump(
    centres: NDArray[np.float64], chosen: int, sigma: float, threshold: float, size: int
) -> dict[str, pd.DataFrame]:
    """Compute the data of one panel, by the names of the figure's data."""
    sites = _sites(centres, chosen, sigma, threshold)
    numbers = {
        "sigma": [sigma],
        "radius": [radius(sigma, threshold)],
        "neighbours": [int(sites["joined"].sum())],
    }
    return {
        "sites": sites,
        "images": _image(centres[chosen], sigma, size),
        "radii": pd.DataFrame(numbers),
    }


def _sites(
    centres: NDArray[np.float64], chosen: int, sigma: float, threshold: float
) -> pd.DataFrame:
    """List all sites with their overlap with the chosen site."""
    pairs = Link(sigma=sigma, threshold=threshold).pairs(centres)
    partners = pairs[(pairs == chosen).any(axis=1)].ravel()
    overlap = continuum(np.hypot(*(centres - centres[chosen]).T), sigma)
    number = np.arange(len(centres))
    return pd.DataFrame(
        {
            "sigma": sigma,
            "x": centres[:, 0],
            "y": centres[:, 1],
            "overlap": overlap,
            "joined": np.isin(number, partners) & (number != chosen),
        }
    )


def _image(center: NDArray[np.float64], sigma: float, size: int) -> pd.DataFrame:
    """Compute the grey values `1 - exp(-r^2 / (4 sigma^2))` of a bump."""
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.arange(1, size + 1)] * 2, indexing="ij"))
    squared = (x - center[0]) ** 2 + (y - center[1]) ** 2
    value = 1 - np.exp(-squared / (4 * sigma**2))
    return pd.DataFrame({"sigma": sigma, "x": x, "y": y, "value": value})


def _draw_image(axes: Axes, image: pd.DataFrame, size: int) -> None:
    grey = image["value"].to_numpy().reshape(size, size).T  # row y, column x
    axes.imshow(
        grey,
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(0.5, size + 0.5, size + 0.5, 0.5),
    )
    axes.plot(
        [0.5, size + 0.5, size + 0.5, 0.5, 0.5],
        [0.5, 0.5, size + 0.5, size + 0.5, 0.5],
        color="0.6",
        lw=0.8,
    )


def _draw_sites(axes: Axes, sites: pd.DataFrame, center: NDArray[np.float64], reach: float) -> None:
    """Draw linked sites with a line to the bump, other sites hollow, and a circle of radius R."""
    joined, others = sites[sites["joined"]], sites[~sites["joined"]]
    for x, y in zip(joined["x"], joined["y"], strict=True):
        axes.plot([center[0], x], [center[1], y], color=_BLUE, lw=1.2)
    axes.plot(others["x"], others["y"], "o", mfc="white", mec="0.45", ms=4)
    axes.plot(joined["x"], joined["y"], "o", mfc=_BLUE, mec=_OUTLINE, mew=0.6, ms=6)
    axes.plot(*center, "o", mfc=_RED, mec=_OUTLINE, mew=0.8, ms=7)
    axes.add_patch(Circle(tuple(center), reach, fill=False, ec=_RED, lw=1.3, ls="--"))
    aside = reach / math.sqrt(2)
    corner = (center[0] - aside, center[1] - aside)
    axes.annotate("$R$", corner, (-6, 3), textcoords="offset points", color=_RED, ha="center")


def _draw_increments(axes: Axes, spacing: tuple[float, float]) -> None:
    """Draw arrows along the first increments, outside the frame."""
    d_x, d_y = spacing
    arrow = {"arrowstyle": "<->", "shrinkA": 0, "shrinkB": 0, "lw": 1.0}
    axes.annotate("", (1, -0.3), (1 + d_x, -0.3), arrowprops=arrow)
    axes.annotate("", (-0.3, 1), (-0.3, 1 + d_y), arrowprops=arrow)
    axes.text(1 + d_x + 0.4, -0.4, f"$d_x$ = {d_x:g} px", va="center", fontsize=8)
    axes.text(
        -0.4, 1 + d_y + 0.4, f"$d_y$ = {d_y:g} px", ha="center", va="top", rotation=90, fontsize=8
    )


def _handles(threshold: float) -> list[Line2D]:
    return [
        Line2D(
            [], [], marker="o", ls="", mfc=_RED, mec=_OUTLINE, ms=7, label="a bump, with its image"
        ),
        Line2D(
            [],
            [],
            marker="o",
            color=_BLUE,
            mec=_OUTLINE,
            ms=6,
            lw=1.2,
            label=f"centres of bumps that it is joined with (overlap > {threshold:g})",
        ),
        Line2D(
            [],
            [],
            marker="o",
            ls="",
            mfc="white",
            mec="0.45",
            ms=4,
            label="other centres of the lattice",
        ),
        Line2D(
            [],
            [],
            color=_RED,
            ls="--",
            lw=1.3,
            label=rf"reach of a link, $R = 4\sigma\sqrt{{\ln(1/{threshold:g})}}$",
        ),
    ]


def _neighbours(count: int) -> str:
    return "1 neighbour" if count == 1 else f"{count or 'no'} neighbours"
