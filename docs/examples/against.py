"""Plot one metric against another: `analysis/figures/sweep/against.py` of docs/extending.md.

Data: `trials`.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures._grid import COLUMNS, Setting, chosen_rows, in_words
from analysis.plotting import axis_labels
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.plotting.style import line_style
from analysis.tables.selection import require
from factorlab.config import Settings

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None  # any setting may differ between the trials


class Options(Settings):
    """Options of the figure in an experiment file."""

    x: str
    """Metric on the horizontal axis."""

    y: str = "accuracy"
    """Metric on the vertical axis."""

    colour: Setting = "data.family"
    """Setting that determines the colour."""


def draw(table: pd.DataFrame, options: Options) -> Drawing:
    """Plot the last evaluation of every finished trial.

    Args:
        table: One row per trial and step.
        options: Metrics and setting to plot.

    Raises:
        NotDrawableError: A column is missing, or no trial has the metrics.
    """
    require(table, COLUMNS)
    rows = chosen_rows(table, [options.colour], [options.x, options.y])
    rows = rows.assign(group=in_words(rows, [options.colour]))
    with styled():
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        for index, (group, trials) in enumerate(rows.groupby("group", sort=False)):
            colour, marker = line_style(index)
            x, y = (
                trials[m] * (100 if axis_labels.is_share(m) else 1) for m in (options.x, options.y)
            )
            axes.plot(x, y, ls="", marker=marker, color=colour, label=str(group))
        axes.set_xlabel(axis_labels.metric(options.x))
        axes.set_ylabel(axis_labels.metric(options.y))
        figure.legend(loc="outside right upper")
        note(figure, ["One symbol per trial.", *unfinished(table)])
    return Drawing(figure=figure, panels={"trials": rows[["group", options.x, options.y]]})
