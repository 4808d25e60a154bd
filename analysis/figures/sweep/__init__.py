"""The figures: one module each, found by its name.

To add a figure, add a module here. It states `COLUMNS`, the columns that it needs, and has
`draw(table)`, which gets one row for each trial and step (`steps_table` of
`analysis.tables.loading`) and returns a `Drawing`. An `Options` class names what the experiment
file may set; `draw` then gets an instance of it as its second argument. No other file needs a
change. Modules whose names start with an underscore are helpers, not figures.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from analysis import plugins
from analysis.plotting.figure_io import Drawing
from factorlab.config import Settings


class FigureModule(Protocol):
    """What a module of this folder provides."""

    COLUMNS: Sequence[str]
    """Columns of the table that the figure needs."""

    AXES: Sequence[str] | None
    """Settings that may differ between the trials it compares; None where any may."""

    # A module may have NUMBERS, too: settings that it takes as one number, and no pair, each.

    Options: type[Settings]
    """What it leaves to the experiment file."""

    def draw(self, table: pd.DataFrame, options: Settings) -> Drawing:
        """Draw what the table holds, half-finished or not.

        Raises:
            NotDrawableError: The table holds nothing that the figure can show; the message is a
                sentence for the user. Any other exception is taken for a mistake of the figure.
        """
        ...


_FOLDER = plugins.Folder[FigureModule](__name__, __path__, "figures")
available = _FOLDER.available
load = _FOLDER.load
unknown = _FOLDER.unknown


def options_of(module: FigureModule, values: Mapping[str, Any]) -> Settings:
    """Return the options of a figure that plain values describe.

    Raises:
        ValidationError: A key is unknown or a value is not allowed.
    """
    return module.Options.model_validate_json(json.dumps(values))
