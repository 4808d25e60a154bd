"""Accuracy in each cell of a design, with its interval and beside the null models.

One panel per metric, one row per combination of settings. The mean over seeds has the 95 % interval
of `analysis.statistics.cell_means`; small dots below it are single runs. Each null model has a
marker (`analysis.measures.null_models`, your own included). A long grey line is the label reader's
ceiling. Data: `cells` and `trials`.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field, field_validator

from analysis.errors import NotDrawableError
from analysis.figures._grid import COLUMNS, Setting, check_count, chosen_rows, in_words, missing
from analysis.measures import null_models
from analysis.measures.null_models import ceiling_column, labels_column, null_column
from analysis.plotting import axis_labels
from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.plotting.style import GREY, letter, title
from analysis.statistics.cell_means import CellMeans
from analysis.tables.selection import final, require
from factorlab.config import Settings

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None

_MARKERS = "|x+1234"
"""Markers of the null models, in turn. Their colours start at the second one."""

_MOST_CELLS, _MOST_PANELS = 60, 6
_WIDTH, _LINE = 2.5, 0.24  # of a panel and of a cell, in inches
_CHARACTER = 0.075  # width of a character of a cell's name, in inches
_BELOW = 0.25  # of the single runs, in lines


class Options(Settings):
    """Options of the figure in an experiment file."""

    cells: list[Setting] | None = None
    """Settings that make a cell; by default all that differ."""

    y: list[str] = Field(default=["accuracy"], min_length=1, max_length=_MOST_PANELS)
    """Accuracies, one panel each."""

    @field_validator("y")
    @classmethod
    def _accuracies(cls, names: list[str]) -> list[str]:
        for name in names:
            if not name.startswith("accuracy"):
                raise ValueError(f"'{name}' is not an accuracy; allowed: accuracy, accuracy_...")
        return names


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot the accuracy of each cell.

    Args:
        table: One row per trial and step; the last steps of finished trials are shown.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, or no trial has an accuracy.
    """
    options = options or Options()
    require(table, COLUMNS)
    keys = axis_labels.varying(final(table)) if options.cells is None else options.cells
    rows = chosen_rows(table, keys, options.y)
    trials = rows.assign(cell=in_words(rows, keys) if keys else "all runs")
    names = list(dict.fromkeys(trials["cell"]))
    check_count("cells", len(names), _MOST_CELLS)
    measured = [name for name in options.y if trials[name].notna().any()]
    cells = pd.concat([_cells(trials, metric) for metric in measured], ignore_index=True)
    with styled():
        aside = 0.4 + _CHARACTER * max(map(len, names))
        size = (aside + _WIDTH * len(measured), 1.5 + _LINE * len(names))
        figure = Figure(figsize=size, layout="constrained")
        places = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
        for index, (axes, metric) in enumerate(zip(places, measured, strict=True)):
            _panel(axes, cells[cells["metric"] == metric], trials, metric, names)
            if len(measured) > 1:
                title(axes, letter(index), "")
        places[0].set_yticks(range(len(names)), names)
        places[0].set_ylim(len(names) - 0.5, -0.5)
        _legend(figure, columns=2 if len(measured) == 1 else 3)
        least, most = int(cells["runs"].min()), int(cells["runs"].max())
        many = f"{least} to {most}" if least < most else str(most)
        note(figure, [f"{many} runs in a cell.", *missing(rows, options.y), *unfinished(table)])
    kept = trials[["cell", "seed", *measured]]
    return Drawing(figure=figure, panels={"cells": cells, "trials": kept})


def _cells(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the mean, its interval and the null models of each cell.

    Raises:
        NotDrawableError: The numbers of tested labels are missing.
    """
    counts = labels_column(metric)
    require(trials, [counts])
    rows = trials.dropna(subset=[metric, counts])
    if rows.empty:
        raise NotDrawableError(f"{metric}: the number of tested labels is not known.")
    means = CellMeans(rows, metric, rows[counts].to_list(), ["cell"])
    found = []
    for cell, group in rows.groupby("cell", sort=False):
        one = means.mean({"cell": cell})
        nulls = {
            name: group.get(null_column(metric, name), pd.Series(dtype=float)).mean()
            for name in null_models.available()
        }
        ends = {"mean": one.value, "low": one.low, "high": one.high, "runs": one.runs}
        ends["ceiling"] = group.get(ceiling_column(metric), pd.Series(dtype=float)).mean()
        found.append({"metric": metric, "cell": cell, **ends, **nulls})
    return pd.DataFrame(found)


def _panel(
    axes: Axes, cells: pd.DataFrame, trials: pd.DataFrame, metric: str, names: Sequence[str]
) -> None:
    """Draw one metric: runs, means with intervals, and null models."""
    place = {name: index for index, name in enumerate(names)}
    y = cells["cell"].map(place)
    for name, style in _null_styles().items():
        axes.plot(100 * cells[name], y, **style, zorder=1)
    axes.plot(100 * cells["ceiling"], y, "|", color=GREY, ms=14, mew=1.2, zorder=0)
    runs = trials.dropna(subset=metric)
    below = runs["cell"].map(place) + _BELOW
    axes.plot(100 * runs[metric], below, ".", color=GREY, ms=4, mew=0, zorder=2)
    spread = [100 * (cells["mean"] - cells["low"]), 100 * (cells["high"] - cells["mean"])]
    axes.errorbar(
        100 * cells["mean"], y, xerr=spread, fmt="o", color=COLOURS[0], ms=4, capsize=2, zorder=3
    )
    axes.set_xlim(-4, 104)
    axes.set_xlabel(axis_labels.metric(metric))
    axes.grid(axis="y", lw=0.4, color="0.9")


def _null_styles() -> dict[str, dict[str, Any]]:
    """Return the marker of each null model."""
    colours = cycle(COLOURS[1:])
    return {
        name: {"marker": marker, "ls": "", "color": colour, "ms": 6, "mew": 1.6}
        for name, marker, colour in zip(
            null_models.available(), cycle(_MARKERS), colours, strict=False
        )
    }


def _legend(figure: Figure, columns: int) -> None:
    handles = [
        Line2D([], [], marker="o", color=COLOURS[0], ms=4, label="model, 95 % interval"),
        Line2D([], [], marker=".", ls="", color=GREY, ms=4, label="single runs"),
        *(
            Line2D([], [], **style, label=null_models.load(name).TITLE)
            for name, style in _null_styles().items()
        ),
        Line2D([], [], marker="|", ls="", color=GREY, ms=9, mew=1.2, label="reader's ceiling"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, fontsize=7)
