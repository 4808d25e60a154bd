"""Static figures, which need no trials: images, the network, percolation theory.

Each figure is one module, discovered by name. To add a figure, add a module here with a function
`draw()` that returns a `Drawing`. All its parameters are keyword-only and have defaults. All random
numbers derive from its parameter `seed`. Modules whose names start with an underscore are helpers,
not figures.
"""

from collections.abc import Callable
from typing import Protocol

from analysis import plugins
from analysis.plotting.figure_io import Drawing


class StaticFigure(Protocol):
    """Interface of the modules in this folder."""

    draw: Callable[..., Drawing]
    """Draws the figure; all parameters are keyword-only and have defaults."""


_FOLDER = plugins.Folder[StaticFigure](__name__, __path__, "static figures")
available = _FOLDER.available
load = _FOLDER.load
