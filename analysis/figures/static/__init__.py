"""Figures that need no trial: images, the network, percolation theory. One module each, by name.

To add a figure, add a module here with `draw()`, which returns a `Drawing`. All its parameters
are keywords with defaults, and every random number comes from its `seed`. Names that start with
an underscore are helpers, not figures.
"""

from collections.abc import Callable
from typing import Protocol

from analysis import plugins
from analysis.plotting.figure_io import Drawing


class StaticFigure(Protocol):
    """What a module of this folder provides."""

    draw: Callable[..., Drawing]
    """Draws the figure; keywords, all of them with defaults."""


_FOLDER = plugins.Folder[StaticFigure](__name__, __path__, "static figures")
available = _FOLDER.available
load = _FOLDER.load
