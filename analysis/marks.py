"""What figures have in common: titles of panels, looks of curves, axes in plain numbers."""

import string

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.drawing import COLOURS, MARKERS

GREY = "0.55"
LETTERS = string.ascii_lowercase


def title(axes: Axes, letter: str, text: str) -> None:
    """Letter of a panel in bold, and what it shows."""
    axes.set_title(rf"$\bf{{{letter}}}$   {text}", loc="left")


def look(index: int) -> tuple[str, str]:
    """Colour and marker of the index-th curve."""
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def plain_log(axis: Axis, subs: tuple[float, ...] = (1,)) -> None:
    """Label a logarithmic axis with plain numbers, at these multiples of the powers of ten."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
