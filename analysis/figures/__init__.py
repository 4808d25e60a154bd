"""The figures: one module each, found by its name.

To add a figure, add a module here. It states `COLUMNS`, the columns that it needs of the table
of trials, and `draw(table)`, which returns a `Drawing`. Nothing else is to be touched. Names
that start with an underscore are helpers, not figures.
"""

from collections.abc import Sequence
from typing import Protocol, cast

import pandas as pd

from analysis import modules
from analysis.drawing import Drawing


class FigureModule(Protocol):
    """What a module of this folder provides."""

    COLUMNS: Sequence[str]
    """Columns of the table of trials that the figure needs."""

    AXES: Sequence[str]
    """Settings that may differ between the trials it compares."""

    def draw(self, table: pd.DataFrame) -> Drawing:
        """Draw what the table holds, half-finished or not.

        Raises:
            ValueError: A column is missing, or a value is out of its range.
        """
        ...


def available() -> list[str]:
    """Names of all figures, sorted; a hyphen stands for the underscore of the module's name."""
    return modules.available(__path__)


def load(name: str) -> FigureModule:
    """The module of a figure.

    Raises:
        ValueError: There is no such figure.
    """
    return cast(FigureModule, modules.load(__name__, __path__, name))
