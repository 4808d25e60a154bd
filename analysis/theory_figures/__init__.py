"""Figures of percolation theory alone: one module each, found by its name. No trial is needed.

To add a figure, add a module here with `draw()`, which returns a `Drawing`. All its parameters
are keywords with defaults, and every random number comes from its `seed`. Names that start with
an underscore are helpers, not figures.
"""

from collections.abc import Callable
from typing import Protocol, cast

from analysis import modules
from analysis.drawing import Drawing


class TheoryFigure(Protocol):
    """What a module of this folder provides."""

    draw: Callable[..., Drawing]
    """Draws the figure; keywords, all of them with defaults."""


def available() -> list[str]:
    """Names of all figures, sorted; a hyphen stands for the underscore of the module's name."""
    return modules.available(__path__)


def load(name: str) -> TheoryFigure:
    """The module of a figure.

    Raises:
        ValueError: There is no such figure.
    """
    return cast(TheoryFigure, modules.load(__name__, __path__, name))
