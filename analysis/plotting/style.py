"""What figures have in common: titles of panels, looks of curves, axes in plain numbers."""

import string
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from analysis.plotting.figure_io import COLOURS, MARKERS

GREY = "0.55"
LETTERS = string.ascii_lowercase


def letter(index: int) -> str:
    """Letter of the index-th panel: a, b, ..., z, aa, ab."""
    before, last = divmod(index, len(LETTERS))
    return (letter(before - 1) if before else "") + LETTERS[last]


def title(axes: Axes, letter: str, text: str) -> None:
    """Letter of a panel in bold, and what it shows."""
    axes.set_title(rf"$\bf{{{letter}}}$   {text}", loc="left")


def line_style(index: int) -> tuple[str, str]:
    """Colour and marker of the index-th curve; 49 curves differ in one of them."""
    turn = index // len(COLOURS)  # the colours begin anew with other markers
    return COLOURS[index % len(COLOURS)], MARKERS[(index + turn) % len(MARKERS)]


def plain_log(axis: Axis, subs: tuple[float, ...] = (1,)) -> None:
    """Label a logarithmic axis with plain numbers, at these multiples of the powers of ten."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def label_colours(*, periodic: bool) -> str:
    """Colour map of labels: even steps, legible to the colour-blind; round where labels close."""
    return "twilight" if periodic else "viridis"


def mosaic(
    axes: Axes, images: Sequence[NDArray[np.uint8]], side: int, gap: int
) -> list[tuple[int, int]]:
    """Draw images in a square with grey lines between them.

    Args:
        axes: Where to.
        images: At most side x side of them, (N, N), 255 is white; empty places are white.
        side: Images along a side.
        gap: Width of the lines, in pixels.

    Returns:
        The row and column of each image's first pixel.
    """
    n = len(images[0])
    canvas = np.full((side * (n + gap) - gap,) * 2, 255, dtype=np.uint8)
    corners = [(i // side * (n + gap), i % side * (n + gap)) for i in range(len(images))]
    for image, (top, left) in zip(images, corners, strict=True):
        canvas[top : top + n + gap, left : left + n + gap] = 200
        canvas[top : top + n, left : left + n] = image
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    return corners
