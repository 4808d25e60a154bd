"""Figures of one checkpoint's representations: one module each, found by its name.

To add a figure, add a module here with `draw(measures)`, which returns a `Drawing`. Names that
start with an underscore are helpers, not figures.
"""

from typing import Protocol

from analysis import modules
from analysis.drawing import Drawing
from analysis.measures import Measures


class Portrait(Protocol):
    """What a module of this folder provides."""

    def draw(self, measures: Measures) -> Drawing:
        """Draw what was measured."""
        ...


_FOLDER = modules.Folder[Portrait](__name__, __path__)
available = _FOLDER.available
load = _FOLDER.load
