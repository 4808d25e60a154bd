"""The figures: one module each, found by its name.

To add a figure, add a module here. It states `COLUMNS`, the columns that it needs, and has
`draw(table)`, which gets one row for each trial and step (`analysis.trials.steps_table`) and
returns a `Drawing`; `Options` is what it leaves to the experiment file, an instance of which is the
second argument of `draw`. Nothing else is to be touched. Names that start with an underscore are
helpers, not figures.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from analysis import modules
from analysis.drawing import Drawing
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


_FOLDER = modules.Folder[FigureModule](__name__, __path__)
available = _FOLDER.available
load = _FOLDER.load
unknown = _FOLDER.unknown


def options_of(module: FigureModule, values: Mapping[str, Any]) -> Settings:
    """Return the options of a figure that plain values describe.

    Raises:
        ValidationError: A key is unknown or a value is not allowed.
    """
    return module.Options.model_validate_json(json.dumps(values))
