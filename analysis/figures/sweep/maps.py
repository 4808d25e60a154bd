"""Phase diagrams: a metric in colour over two settings, or a setting and the step ([W] Figs 3, 8).

One row of panels per metric, one column per value of the `panels` settings. Each cell shows the
mean over seeds, or the best seed. Data: `cells`.
"""

import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from pydantic import Field

from analysis.errors import NotDrawableError
from analysis.figures._grid import (
    COLUMNS,
    Setting,
    check_count,
    chosen_rows,
    in_words,
    long,
    missing,
    null_range,
    on_axis,
)
from analysis.plotting import axis_labels
from analysis.plotting.axis import Places, beside, label_words
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.plotting.style import letter, title
from analysis.tables.selection import require
from factorlab.config import Settings

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None

# Maximum number of panels; maximum number of columns and rows of cells that show their values.
_MOST_PANELS, _MOST_ACROSS, _MOST_DOWN = 60, 16, 18

# Width and height of a panel in inches.
_WIDTH, _HEIGHT = 3.4, 2.7

# Characters per line of a panel title.
_LINE = 44


class Options(Settings):
    """Options of the figure in an experiment file."""

    x: Setting = "step"
    """Setting on the horizontal axis, or `step`."""

    y: Setting | None = None
    """Setting on the vertical axis; by default the setting with most values."""

    colour: list[str] = Field(default=["accuracy"], min_length=1)
    """Metrics, one row of panels each."""

    panels: list[Setting] = Field(default_factory=list)
    """Settings that distinguish columns of panels."""

    seeds: Literal["mean", "best"] = "mean"
    """Whether a cell shows the mean over seeds or the best seed, as in [W]."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot metrics in colour over two axes.

    Args:
        table: One row per trial and step. The figure shows the last steps of finished trials, or
            all steps if the step is on an axis.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, no trial has the metrics, or no setting is left for
            the vertical axis.
    """
    options = options or Options()
    require(table, COLUMNS)
    left = [k for k in axis_labels.varying(table) if k != options.x and k not in options.panels]
    y = options.y or next(iter(left), None)
    if y is None:
        raise NotDrawableError("The trials do not differ in a setting for the vertical axis.")
    rows = chosen_rows(table, [options.x, y, *options.panels], options.colour)
    cells = _cells(rows, y, options)
    x_axis, y_axis = Places.of(cells["x"]), Places.of(cells["y"])
    with styled():
        panels = list(dict.fromkeys(cells["panel"]))
        measured = [metric for metric in options.colour if rows[metric].notna().any()]
        count = len(measured)
        check_count("panels", count * len(panels), _MOST_PANELS)
        wider = beside(axis_labels.bare(value) for value in y_axis.at)
        figure = Figure(
            figsize=(1.8 + _WIDTH * len(panels) + wider, 0.9 + _HEIGHT * count),
            layout="constrained",
        )
        places = figure.subplots(count, len(panels), squeeze=False, sharex=True, sharey=True)
        for index, (row, metric) in enumerate(zip(places, measured, strict=True)):
            top = _top(cells, metric)
            for column, (axes, panel) in enumerate(zip(row, panels, strict=True)):
                here = cells[(cells["metric"] == metric) & (cells["panel"] == panel)]
                mesh = _draw_panel(axes, here, x_axis.order(), y_axis.order(), metric, top)
                title(axes, letter(index * len(panels) + column), textwrap.fill(panel, _LINE))
            figure.colorbar(mesh, ax=list(row), label=axis_labels.metric(metric))
            row[0].set_ylabel(axis_labels.setting(y))
        for axes in places[-1]:
            axes.set_xlabel(axis_labels.setting(options.x))
        most = int(cells["trials"].max())
        how = f"Cell: {options.seeds} of up to {most} seeds." if most > 1 else "One seed per cell."
        text = [f"{how} White: not measured."]
        text += null_range(rows, options.colour)
        note(figure, [*text, *missing(rows, options.colour), *unfinished(table)])
    return Drawing(figure=figure, panels={"cells": cells})


def _cells(rows: pd.DataFrame, y: str, options: Options) -> pd.DataFrame:
    """Aggregate over seeds: one row per metric, panel, x and y."""
    places = pd.DataFrame(
        {
            "panel": in_words(rows, options.panels),
            "x": on_axis(rows, options.x),
            "y": on_axis(rows, y),
        },
        index=rows.index,
    )
    found = long(rows, places, options.colour)
    grouped = found.groupby(["metric", "panel", "y", "x"], sort=False)["value"]
    how = "mean" if options.seeds == "mean" else "max"
    return grouped.agg(["size", how]).set_axis(["trials", "value"], axis=1).reset_index()


def _top(cells: pd.DataFrame, metric: str) -> float:
    """Return the upper end of a metric's colour scale, shared by all its panels."""
    if axis_labels.is_share(metric) or "r_squared" in metric:
        return 100 if axis_labels.is_share(metric) else 1
    return float(cells.loc[cells["metric"] == metric, "value"].max())


def _draw_panel(
    axes: Axes,
    cells: pd.DataFrame,
    xs: Sequence[object],
    ys: Sequence[object],
    metric: str,
    top: float,
) -> QuadMesh:
    """Draw a table of cells, with their values as text if there is space."""
    scale = 100 if axis_labels.is_share(metric) else 1
    values = np.full((len(ys), len(xs)), np.nan)
    rows, columns = map(ys.index, cells["y"]), map(xs.index, cells["x"])
    values[list(rows), list(columns)] = scale * cells["value"].to_numpy(dtype=float)
    mesh = axes.pcolormesh(values, cmap="viridis", vmin=0, vmax=top)
    room = len(xs) <= _MOST_ACROSS and len(ys) <= _MOST_DOWN
    for (i, j), value in np.ndenumerate(values):
        if room and np.isfinite(value):
            axes.text(
                j + 0.5, i + 0.5, f"{value:.0f}" if scale > 1 else f"{value:.2g}",
                ha="center", va="center", fontsize=7,
                color="white" if value < 0.6 * top else "black",
            )  # fmt: skip
    words = (np.arange(len(xs)) + 0.5).tolist(), [axis_labels.bare(value) for value in xs]
    label_words(axes.xaxis, *words, _WIDTH - 0.7)
    words = (np.arange(len(ys)) + 0.5).tolist(), [axis_labels.bare(value) for value in ys]
    label_words(axes.yaxis, *words, _HEIGHT - 0.7)
    axes.tick_params(length=0)
    return mesh
