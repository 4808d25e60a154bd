"""Overlap of two bumps against their distance ([F] Fig 6b, [W] Fig 7b).

Left: continuum overlap. Middle: pixel overlap, which depends on the sub-pixel position for narrow
bumps. Right: effect of the border of the frame. Data: `continuum`, `pixel` and `border`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import GREY, line_style, plain_log, title
from percolation import continuum, pixel

# Line style for each offset of the first centre from the centre of a pixel, in pixels.
_OFFSETS = {0.0: "-", 0.5: (0, (3, 1.5))}
_POINTS = 600


def draw(
    *,
    sigmas: Sequence[float] = (0.1, 0.25, 0.5, 1.0, 2.0),
    thresholds: Sequence[float] = (0.005, 0.05, 0.5),
    size: int = 32,
    border_sigmas: Sequence[float] = (0.5, 1.0, 2.0),
    apart: float = 2.0,
) -> Drawing:
    """Plot the overlap of two bumps against their distance.

    Args:
        sigmas: Spreads of the bumps in pixels.
        thresholds: Overlaps marked by thin lines.
        size: Side N of the frame in pixels.
        border_sigmas: Spreads from `sigmas` shown at the border. For narrower bumps, pixels have a
            larger effect than the border.
        apart: Distance of the two bumps at the border, in units of sigma.

    Returns:
        The figure and its data: `continuum` and `pixel` (overlap against distance), and `border`
        (ratio of pixel to continuum overlap, against the distance from the border).

    Raises:
        ValueError: A parameter is out of its range.
    """
    distances = np.geomspace(0.05, size / 2, _POINTS)
    panels = {
        "continuum": _continuum_table(sigmas, distances),
        "pixel": _pixel_table(sigmas, distances, size),
        "border": _border_table(border_sigmas, apart, size),
    }
    with styled():
        figure = Figure(figsize=(11, 4.0), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        for axes in (left, middle):
            _mark_thresholds(axes, thresholds, size)
        for i, sigma in enumerate(sigmas):
            colour, _ = line_style(i)
            curve = panels["continuum"][panels["continuum"]["sigma"] == sigma]
            left.plot(curve["distance"], curve["overlap"], color=colour, label=f"σ = {sigma:g} px")
            _draw_pixel(middle, panels["pixel"], sigma, colour)
            _draw_border(right, panels["border"], sigma, colour)
        _finish(left, middle, right, apart)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return Drawing(figure=figure, panels=panels)


def _continuum_table(sigmas: Sequence[float], distances: NDArray[np.float64]) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame(
                {"sigma": sigma, "distance": distances, "overlap": continuum(distances, sigma)}
            )
            for sigma in sigmas
        ],
        ignore_index=True,
    )


def _pixel_table(
    sigmas: Sequence[float], distances: NDArray[np.float64], size: int
) -> pd.DataFrame:
    """Compute the overlap of pairs along x with the first bump near the middle of the frame."""
    parts = []
    for sigma in sigmas:
        for offset in _OFFSETS:
            first = np.array([size // 2 - offset, size // 2])
            second = np.stack([first[0] + distances, np.full_like(distances, first[1])], axis=1)
            parts.append(
                pd.DataFrame(
                    {
                        "sigma": sigma,
                        "first_x": first[0],
                        "first_y": first[1],
                        "distance": distances,
                        "overlap": pixel(first, second, size, sigma),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _border_table(sigmas: Sequence[float], apart: float, size: int) -> pd.DataFrame:
    """Compute the overlap of pairs perpendicular to a border, or along the diagonal of a corner."""
    parts = []
    inwards = np.linspace(0, size / 4, 161)
    middle = size // 2
    for sigma in sigmas:
        step = apart * sigma
        for place in ("border", "corner"):
            if place == "border":
                first = np.stack([1 + inwards, np.full_like(inwards, middle)], axis=1)
                second = first + np.array([step, 0])
            else:
                first = np.stack([1 + inwards, 1 + inwards], axis=1)
                second = first + step / np.sqrt(2)
            parts.append(
                pd.DataFrame(
                    {
                        "sigma": sigma,
                        "place": place,
                        "inwards": inwards,
                        "overlap": pixel(first, second, size, sigma),
                        "continuum": float(continuum(step, sigma)),
                    }
                )
            )
    table = pd.concat(parts, ignore_index=True)
    return table.assign(ratio=table["overlap"] / table["continuum"])


def _mark_thresholds(axes: Axes, thresholds: Sequence[float], size: int) -> None:
    for threshold in thresholds:
        axes.axhline(threshold, color=GREY, lw=0.7, zorder=0)
        axes.annotate(
            f"threshold {threshold:g}",
            (0, threshold),
            (4, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=7,
            color="0.35",
        )
    axes.set(xscale="log", yscale="log", xlim=(0.05, size / 2), ylim=(0.002, 1.4))


def _draw_pixel(axes: Axes, table: pd.DataFrame, sigma: float, colour: str) -> None:
    rows = table[table["sigma"] == sigma]
    # The curve whose first centre is on a pixel comes first.
    for (_, curve), line in zip(
        rows.groupby("first_x", sort=False), _OFFSETS.values(), strict=True
    ):
        axes.plot(curve["distance"], curve["overlap"], color=colour, ls=line, lw=1.2)


def _draw_border(axes: Axes, table: pd.DataFrame, sigma: float, colour: str) -> None:
    rows = table[table["sigma"] == sigma]
    for place, line in (("border", "-"), ("corner", (0, (3, 1.5)))):
        curve = rows[rows["place"] == place]
        axes.plot(curve["inwards"], curve["ratio"], color=colour, ls=line)


def _finish(left: Axes, middle: Axes, right: Axes, apart: float) -> None:
    """Set titles and labels, and add the two legends of line styles."""
    title(left, "a", "Continuum")
    title(middle, "b", "On pixels, middle of the frame")
    title(right, "c", f"On pixels, at the border ({apart:g}σ apart)")
    left.set_ylabel("Overlap of the two bumps")
    right.set_ylabel("Overlap, relative to the continuum")
    right.set_xlabel("Outer centre to the outermost pixel (px)")
    right.axhline(1, color=GREY, lw=0.7, zorder=0)
    for axes in (left, middle):
        axes.set_xlabel("Distance of the two centres, d (px)")
        plain_log(axes.xaxis)
        plain_log(axes.yaxis)
    _explain(middle, "First centre lies", ("on a pixel", "between two"), (0.0, 0.31))
    _explain(right, "Pair points away", ("from the border", "from the corner"), (0.5, 0.85))


def _explain(axes: Axes, heading: str, texts: tuple[str, str], place: tuple[float, float]) -> None:
    """Add a legend of the two line styles, with its left edge at a position in the axes."""
    lines = zip(texts, _OFFSETS.values(), strict=True)
    handles = [Line2D([], [], color="0.3", ls=line, label=text) for text, line in lines]
    axes.legend(
        handles=handles,
        title=heading,
        title_fontsize=8,
        alignment="left",
        loc="center left",
        bbox_to_anchor=place,
    )
