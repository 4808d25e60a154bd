"""Figures of percolation theory alone: one module each, found by its name. No trial is needed.

To add a figure, add a module here with `draw()`, which returns a `Drawing`. All its parameters
are keywords with defaults, and every random number comes from its `seed`. Names that start with
an underscore are helpers, not figures.
"""

from collections.abc import Callable
from typing import Protocol

from analysis import modules
from analysis.drawing import Drawing


class TheoryFigure(Protocol):
    """What a module of this folder provides."""

    draw: Callable[..., Drawing]
    """Draws the figure; keywords, all of them with defaults."""


_FOLDER = modules.Folder[TheoryFigure](__name__, __path__)
available = _FOLDER.available
load = _FOLDER.load
