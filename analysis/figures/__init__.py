"""The figures: one module each, found by its name.

To add a figure, add a module here. It states `COLUMNS`, the columns that it needs, and has
`draw(table)`, which gets one row for each trial and step (`analysis.trials.steps_table`) and
returns a `Drawing`. Nothing else is to be touched. Names that start with an underscore are
helpers, not figures.
"""

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from analysis import modules
from analysis.drawing import Drawing


class FigureModule(Protocol):
    """What a module of this folder provides."""

    COLUMNS: Sequence[str]
    """Columns of the table that the figure needs."""

    AXES: Sequence[str]
    """Settings that may differ between the trials it compares."""

    def draw(self, table: pd.DataFrame) -> Drawing:
        """Draw what the table holds, half-finished or not.

        Raises:
            ValueError: A column is missing, or a value is out of its range.
        """
        ...


_FOLDER = modules.Folder[FigureModule](__name__, __path__)
available = _FOLDER.available
load = _FOLDER.load
