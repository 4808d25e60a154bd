"""Figures of one checkpoint's representations: one module each, found by its name.

To add a figure, add a module here with `draw(measures)`, which returns a `Drawing`. Names that
start with an underscore are helpers, not figures.
"""

from typing import Protocol

from analysis import plugins
from analysis.measures.checkpoint import Measures
from analysis.plotting.figure_io import Drawing


class CheckpointFigure(Protocol):
    """What a module of this folder provides."""

    def draw(self, measures: Measures) -> Drawing:
        """Draw what was measured."""
        ...


_FOLDER = plugins.Folder[CheckpointFigure](__name__, __path__, "checkpoint figures")
available = _FOLDER.available
load = _FOLDER.load
