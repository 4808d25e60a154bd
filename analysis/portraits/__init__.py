"""Figures of one checkpoint's representations: one module each, found by its name.

To add a figure, add a module here with `draw(measures)`, which returns a `Drawing`. Names that
start with an underscore are helpers, not figures.
"""

from typing import Protocol, cast

from analysis import modules
from analysis.drawing import Drawing
from analysis.measures import Measures


class Portrait(Protocol):
    """What a module of this folder provides."""

    def draw(self, measures: Measures) -> Drawing:
        """Draw what was measured."""
        ...


def available() -> list[str]:
    """Names of all figures, sorted; a hyphen stands for the underscore of the module's name."""
    return modules.available(__path__)


def load(name: str) -> Portrait:
    """The module of a figure.

    Raises:
        ValueError: There is no such figure.
    """
    return cast(Portrait, modules.load(__name__, __path__, name))
