"""Any metric against any setting or the optimizer step: the general figure for experiments.

One row of panels per metric, one column per value of the `panels` settings, one curve per value of
the `lines` settings. Seeds are averaged. Defaults follow from the settings that differ between the
trials. Data: `means` (mean and standard deviation over seeds) and `trials`.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from analysis.figures._grid import (
    COLUMNS,
    NULL,
    Setting,
    check_count,
    chosen_rows,
    in_words,
    long,
    missing,
    on_axis,
)
from analysis.plotting import axis_labels
from analysis.plotting.axis import Places
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.plotting.style import GREY, letter, line_style, title
from analysis.tables.selection import over_seeds, require
from factorlab.config import Settings

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None

# Maximum number of panels of a figure, and of curves in a legend.
_MOST_PANELS, _MOST_CURVES = 60, 24

# Characters per line of a panel title.
_LINE = 44

# Width of a panel and of its axis, in inches.
_WIDTH, _INNER = 3.4, 2.7

# Width of a character and height of a line in a legend, in inches.
_CHARACTER, _LABEL = 0.065, 0.18


class Options(Settings):
    """Options of the figure in an experiment file."""

    x: Setting | None = None
    """Setting on the horizontal axis, or `step`; by default the setting with most values."""

    y: list[str] = Field(default=["accuracy"], min_length=1)
    """Metrics, one row of panels each."""

    lines: list[Setting] | None = None
    """Settings that distinguish curves; by default all remaining settings that differ."""

    panels: list[Setting] = Field(default_factory=list)
    """Settings that distinguish columns of panels."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot metrics against a setting or the step.

    Args:
        table: One row per trial and step. The figure shows the last steps of finished trials, or
            all steps if the step is on the horizontal axis.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, or no trial has the metrics.
    """
    options = options or Options()
    require(table, COLUMNS)
    varying = axis_labels.varying(table)
    x = options.x or next(iter(varying), "step")
    left = [key for key in varying if key != x and key not in options.panels]
    lines = left if options.lines is None else options.lines
    rows = chosen_rows(table, [x, *lines, *options.panels], options.y)
    trials = _trials(rows, x, lines, options)
    means = over_seeds(trials, ["metric", "panel", "line", "x"], "value")
    with styled():
        columns = list(dict.fromkeys(trials["panel"]))
        measured = [metric for metric in options.y if rows[metric].notna().any()]
        shown = [(metric, panel) for metric in measured for panel in columns]
        check_count("panels", len(shown), _MOST_PANELS)
        along = Places.of(trials["x"])
        curves = list(dict.fromkeys(trials["line"]))
        figure, places, across = _panels(len(shown), len(columns), curves)
        for index, (axes, (metric, panel)) in enumerate(zip(places, shown, strict=True)):
            here = (t[(t["metric"] == metric) & (t["panel"] == panel)] for t in (means, trials))
            _draw_panel(axes, *here, metric=metric, lines=curves, along=along)
            title(axes, letter(index), textwrap.fill(panel, _LINE))
            if index + across >= len(shown):
                axes.set_xlabel(axis_labels.setting(x))
                axes.tick_params(labelbottom=True)
            if len(columns) == 1 or index % across == 0:
                axes.set_ylabel(axis_labels.metric(metric))
        along.label(places, _INNER)
        many = _legend(figure, places, curves, null=bool(means["null"].notna().any()))
        text = [_reading(means, options.y), *many, *missing(rows, options.y), *unfinished(table)]
        note(figure, text)
    return Drawing(figure=figure, panels={"means": means, "trials": trials})


def _legend(
    figure: Figure, places: Sequence[Axes], curves: Sequence[str], *, null: bool
) -> list[str]:
    """Add a legend beside the panels, or return a note if there are too many curves."""
    if len(curves) > _MOST_CURVES:
        return [f"{len(curves)} curves, too many for a legend; see the CSV data for their names."]
    found: dict[str, Artist] = {}
    for axes in places:  # a curve may have no point in some panels
        found |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if len(curves) > 1:
        handles: list[Artist] = [found[curve] for curve in curves]
        names = [*curves]
        if null:
            handles.append(Line2D([], [], color=GREY, ls=":", lw=1.1))
            names.append(NULL)
        figure.legend(handles, names, loc="outside right upper")
    return []


def _panels(count: int, columns: int, curves: Sequence[str]) -> tuple[Figure, list[Axes], int]:
    """Create the panels: one row per metric, or two panels per row if each metric has only one.

    The figure has space for a legend beside the panels.

    Returns:
        The figure, its panels row by row, and the number of panels per row.
    """
    across = columns if columns > 1 else min(count, 2)
    down = math.ceil(count / across)
    size = [1.6 + _WIDTH * max(across, 1), 0.9 + 2.6 * down]
    if 1 < len(curves) <= _MOST_CURVES:
        size[0] += max(0, 0.5 + _CHARACTER * max(map(len, curves)) - 1.4)
        size[1] = max(size[1], 0.8 + _LABEL * len(curves))
    figure = Figure(figsize=(size[0], size[1]), layout="constrained")
    shared: dict[str, Any] = {"sharey": "row"} if columns > 1 else {}
    places = figure.subplots(down, across, squeeze=False, sharex=True, **shared).ravel().tolist()
    for axes in places[count:]:
        axes.remove()
    return figure, places[:count], across


def _trials(rows: pd.DataFrame, x: str, lines: Sequence[str], options: Options) -> pd.DataFrame:
    """Return one row per trial, step and metric, ordered along the horizontal axis."""
    places = pd.DataFrame(
        {
            "panel": in_words(rows, options.panels),
            "line": in_words(rows, lines),
            "x": on_axis(rows, x),
            "seed": rows["seed"].to_list(),
        },
        index=rows.index,
    )
    found = long(rows, places, options.y)
    # Words and curves stay in the order of the experiment file.
    along = Places.of(found["x"])
    return along.sort(found) if along.numbers else found


def _draw_panel(
    axes: Axes,
    means: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    metric: str,
    lines: Sequence[str],
    along: Places,
) -> None:
    """Plot curves of one metric, dots of single trials, the null model and the ceiling."""
    scale = 100 if axis_labels.is_share(metric) else 1
    for index, line in enumerate(lines):
        colour, marker = line_style(index)
        mean, dot = (t[t["line"] == line] for t in (means, trials))
        x = along.place(dot["x"])
        axes.plot(x, scale * dot["value"], ".", color=colour, alpha=0.4, mew=0, ms=5)
        for part in along.joined(mean):
            axes.errorbar(
                along.place(part["x"]), scale * part["mean"], scale * part["std"].fillna(0),
                color=colour, marker=marker, capsize=2, elinewidth=0.8, label=line,
            )  # fmt: skip
        for part in along.joined(mean[mean["null"].notna()]):
            x, dash = along.place(part["x"]), "_" if len(part) == 1 else None
            axes.plot(x, 100 * part["null"], color=colour, ls=":", lw=1.1, marker=dash, zorder=0)
    if means["ceiling"].notna().any():
        for part in along.joined(means.groupby("x", sort=False)["ceiling"].mean().reset_index()):
            x, dash = along.place(part["x"]), "_" if len(part) == 1 else None
            style: dict[str, Any] = {"color": GREY, "ls": "--", "lw": 0.9, "marker": dash}
            axes.plot(x, 100 * part["ceiling"], zorder=0, **style)
    if axis_labels.is_share(metric):
        axes.set_ylim(-4, 104)


def _reading(means: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Return the small print that explains the symbols."""
    most = int(means["trials"].max())
    text = (
        f"Symbols: mean and standard deviation over up to {most} seeds; dots: single trials."
        if most > 1
        else "One seed per symbol."
    )
    if any(metric.startswith("accuracy") for metric in metrics):
        text += " Dashed: accuracy of the label reader on clean images of the same labels."
    if means["null"].notna().any():
        text += " Dotted: drawing the nearest training example, without any learning."
    return text
