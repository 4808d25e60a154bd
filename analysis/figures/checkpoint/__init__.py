"""Figures of the representations of one checkpoint: one module each, discovered by name.

To add a figure, add a module here with a function `draw(measures)` that returns a `Drawing`.
Modules whose names start with an underscore are helpers, not figures.
"""

from typing import Protocol

from analysis import plugins
from analysis.measures.checkpoint import Measures
from analysis.plotting.figure_io import Drawing


class CheckpointFigure(Protocol):
    """Interface of the modules in this folder."""

    def draw(self, measures: Measures) -> Drawing:
        """Draw the measures of one checkpoint."""
        ...


_FOLDER = plugins.Folder[CheckpointFigure](__name__, __path__, "checkpoint figures")
available = _FOLDER.available
load = _FOLDER.load
