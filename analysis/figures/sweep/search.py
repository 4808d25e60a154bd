"""How a threshold search found its crossings, run by run.

Upper row, one panel per value of `panels`: accuracy of each run against the number of samples, with
the 90 % interval of the crossing as a bar at the level (layer `runs`). Lower row: the 90 % interval
after each run (layer `intervals`), for the runs in the order in which they were picked. Runs that
trained at the same time count in that order, too.

The posterior is that of `analysis.scaling.thresholds`, over the range that the runs cover.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pydantic import Field

from analysis.errors import NotDrawableError
from analysis.figures.sweep._scaling import Panels
from analysis.plotting.axis_labels import FAMILIES
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import letter, line_style, plain_log, title
from analysis.scaling.thresholds import posterior_between
from analysis.tables.selection import final, measured, require, where
from factorlab.config import Settings

LINES, PANELS = "data.size", "data.family"
COLUMNS: Sequence[str] = (
    *("key", "last", "accuracy", "samples_2d", "data.subsample"),
    *(LINES, PANELS),
)
AXES: Sequence[str] = (LINES, PANELS, "data.subsample", "seed")
NUMBERS: Sequence[str] = (LINES, "data.subsample")


class Options(Settings):
    """Options of the figure in an experiment file."""

    level: float = Field(default=0.6, ge=0.05, le=0.95)
    """Accuracy at the crossing."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Draw the progress of a search over `data.subsample` for each family and N.

    Args:
        table: One row per trial and step, with `COLUMNS`, trials in the order of the search.
        options: Options of the figure.

    Returns:
        The figure and the data of its layers, which the module docstring names.

    Raises:
        NotDrawableError: A column is missing, or the table has no measured accuracy.
    """
    require(table, COLUMNS)
    options = options or Options()
    rows = measured(final(table))
    rows = rows[rows["samples_2d"] > 0]
    if rows.empty:
        raise NotDrawableError("accuracy was not measured in any trial with 2D examples.")
    panels = _measure(rows, options)
    families = list(dict.fromkeys(rows[PANELS]))
    sizes = sorted(set(rows[LINES]))
    with styled():
        figure = Figure(figsize=(max(3.9, 3.7 * len(families)), 5.6), layout="constrained")
        grid = figure.subplots(2, len(families), sharey="row", squeeze=False)
        for i, family in enumerate(families):
            upper, lower = grid[0, i], grid[1, i]
            for j, size in enumerate(sizes):
                mine = {"family": family, "size": size}
                _draw_runs(upper, panels, mine, options.level, style=line_style(j))
                _draw_intervals(lower, panels, mine, colour=line_style(j)[0])
            _label(upper, lower, options.level)
            title(upper, letter(i), FAMILIES.get(str(family), str(family)))
            title(lower, letter(i + len(families)), "")
        grid[0, 0].set_ylabel("Accuracy (%)")
        grid[1, 0].set_ylabel(f"2D examples at {100 * options.level:g} %")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(sizes))
        note = "Bars and bands: 90 % intervals of the crossing, lines: medians of the posterior."
        figure.supxlabel(note, x=0.012, ha="left", fontsize=7, color="0.25")
    return Drawing(figure=figure, panels=panels)


def _measure(rows: pd.DataFrame, options: Options) -> Panels:
    """Compute the layers: the posterior after each run of each curve."""
    intervals = []
    for (family, size), group in rows.groupby([PANELS, LINES], sort=False):
        posterior = posterior_between(*_ends(group), level=options.level)
        measured = group[["samples_2d", "accuracy"]].itertuples(index=False, name=None)
        for run, (samples, accuracy) in enumerate(measured, 1):
            posterior.observe(math.log(samples), accuracy)
            found = posterior.interval()
            amounts = np.exp([found.low, found.middle, found.high])
            intervals.append((family, size, run, *amounts))
    runs = rows[[PANELS, LINES, "data.subsample", "seed", "samples_2d", "accuracy"]]
    columns = ["family", "size", "run", "low", "middle", "high"]
    return {
        "runs": runs.rename(columns=lambda name: str(name).removeprefix("data.")),
        "intervals": pd.DataFrame(intervals, columns=columns),
    }


def _ends(group: pd.DataFrame) -> tuple[float, float]:
    """Return the smallest and the largest number of samples, in logarithms."""
    return math.log(group["samples_2d"].min()), math.log(group["samples_2d"].max())


def _draw_runs(
    axes: Axes, panels: Panels, mine: dict[str, Any], level: float, *, style: tuple[str, str]
) -> None:
    """Draw the runs of one curve and its last interval."""
    colour, marker = style
    runs, found = where(panels["runs"], **mine), where(panels["intervals"], **mine)
    axes.plot(
        runs["samples_2d"],
        100 * runs["accuracy"],
        marker,
        color=colour,
        ms=4,
        alpha=0.6,
        mew=0,
        label=f"N = {mine['size']}",
    )
    if len(found):
        last = found.iloc[-1]
        axes.plot([last["low"], last["high"]], [100 * level] * 2, color=colour, lw=3, alpha=0.8)


def _draw_intervals(axes: Axes, panels: Panels, mine: dict[str, Any], *, colour: str) -> None:
    """Draw the interval of one curve after each run."""
    found = where(panels["intervals"], **mine)
    axes.fill_between(found["run"], found["low"], found["high"], color=colour, alpha=0.2, lw=0)
    axes.plot(found["run"], found["middle"], color=colour, lw=1.2)


def _label(upper: Axes, lower: Axes, level: float) -> None:
    """Name the axes of one family."""
    upper.axhline(100 * level, color="red", ls="--", lw=0.8, zorder=0)
    upper.set(xscale="log", xlabel="2D examples", ylim=(-4, 104))
    low, high = upper.get_xlim()
    plain_log(upper.xaxis, (1, 2, 5) if high < 200 * low else (1, 3))  # labels do not overlap
    lower.set(yscale="log", xlabel="Runs")
    plain_log(lower.yaxis, (1, 2, 5))
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
