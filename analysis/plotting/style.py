"""Plot style shared by all figures: panel titles, curve styles, axes with plain numbers."""

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
    """Return the letter of the index-th panel: a, b, ..., z, aa, ab."""
    before, last = divmod(index, len(LETTERS))
    return (letter(before - 1) if before else "") + LETTERS[last]


def title(axes: Axes, letter: str, text: str) -> None:
    """Set the title of a panel: its letter in bold, then a text."""
    axes.set_title(rf"$\bf{{{letter}}}$   {text}", loc="left")


def line_style(index: int) -> tuple[str, str]:
    """Return the colour and marker of the index-th curve; the first 49 pairs are distinct."""
    turn = index // len(COLOURS)  # each round of colours uses shifted markers
    return COLOURS[index % len(COLOURS)], MARKERS[(index + turn) % len(MARKERS)]


def plain_log(axis: Axis, subs: tuple[float, ...] = (1,)) -> None:
    """Label a logarithmic axis with plain numbers at multiples `subs` of the powers of ten."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def label_colours(*, periodic: bool) -> str:
    """Return the colour map of labels; cyclic for periodic labels.

    Both maps have even steps and are legible to colour-blind readers.
    """
    return "twilight" if periodic else "viridis"


def mosaic(
    axes: Axes, images: Sequence[NDArray[np.uint8]], side: int, gap: int
) -> list[tuple[int, int]]:
    """Draw images in a square grid with grey lines between them.

    Args:
        axes: Axes to draw into.
        images: At most side x side images, each of shape (N, N), with 255 for white. Empty cells
            are white.
        side: Number of images along a side.
        gap: Width of the lines in pixels.

    Returns:
        Row and column of the top left pixel of each image.
    """
    n = len(images[0])
    canvas = np.full((side * (n + gap) - gap,) * 2, 255, dtype=np.uint8)
    corners = [(i // side * (n + gap), i % side * (n + gap)) for i in range(len(images))]
    for image, (top, left) in zip(images, corners, strict=True):
        canvas[top : top + n + gap, left : left + n + gap] = 200
        canvas[top : top + n, left : left + n] = image
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    return corners
