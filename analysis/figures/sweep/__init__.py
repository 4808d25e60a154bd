"""Figures of a sweep: one module each, discovered by name.

To add a figure, add a module here that implements `FigureModule`:

- `COLUMNS` lists the columns that the figure needs.
- `AXES` lists the settings that may differ between the trials.
- `Options` declares the options that an experiment file may set.
- `draw(table, options)` receives one row per trial and step (`steps_table` of
  `analysis.tables.loading`) and an instance of `Options`, and returns a `Drawing`.

No other file needs to change. Modules whose names start with an underscore are helpers, not
figures.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from analysis import plugins
from analysis.plotting.figure_io import Drawing
from factorlab.config import Settings


class FigureModule(Protocol):
    """Interface of the modules in this folder."""

    COLUMNS: Sequence[str]
    """Columns of the table that the figure needs."""

    AXES: Sequence[str] | None
    """Settings that may differ between the compared trials; None allows any setting."""

    # A module may also define NUMBERS: settings that must be single numbers, not pairs.

    Options: type[Settings]
    """Options that an experiment file may set."""

    def draw(self, table: pd.DataFrame, options: Settings) -> Drawing:
        """Draw a table of finished and unfinished trials.

        Args:
            table: One row per trial and step.
            options: An instance of `Options`.

        Raises:
            NotDrawableError: The figure cannot show the table. The message is a sentence for the
                user. Any other exception counts as a bug in the figure.
        """
        ...


_FOLDER = plugins.Folder[FigureModule](__name__, __path__, "figures")
available = _FOLDER.available
load = _FOLDER.load
unknown = _FOLDER.unknown


def options_of(module: FigureModule, values: Mapping[str, Any]) -> Settings:
    """Parse plain values into the options of a figure.

    Raises:
        ValidationError: A key is unknown or a value is not allowed.
    """
    return module.Options.model_validate_json(json.dumps(values))
