"""Any metric against any setting, or against the optimizer step: the figure of every experiment.

One row of panels for each metric, one column for each value of the `panels` settings, one curve
for each value of the `lines` settings; seeds are averaged. What is not chosen follows from the
settings in which the trials differ. Data: `means` (mean and standard deviation over seeds) and
`trials`.
"""

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype
from pydantic import Field

from analysis import names
from analysis.drawing import Drawing, styled
from analysis.figures._grid import COLUMNS, Setting, chosen_rows, in_words, long, on_axis
from analysis.figures._notes import note, unfinished
from analysis.marks import GREY, LETTERS, look, title
from analysis.tables import require
from factorlab.config import Settings

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None

# Ratio of the largest to the smallest value from which an axis is logarithmic.
_WIDE = 15


class Options(Settings):
    """What an experiment file may choose."""

    x: Setting | None = None
    """Setting along the horizontal axis, or `step`; by default the setting with most values."""

    y: list[str] = Field(default=["accuracy"], min_length=1)
    """Metrics, a row of panels each."""

    lines: list[Setting] | None = None
    """Settings that tell curves apart; by default all that are left."""

    panels: list[Setting] = Field(default_factory=list)
    """Settings that tell columns of panels apart."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Draw metrics against a setting or the step.

    Args:
        table: One row for each trial and step. The last steps of finished trials are drawn, or
            every step where the step is the horizontal axis.
        options: What to draw.

    Raises:
        ValueError: A column is missing, or no trial has what is to be drawn.
    """
    options = options or Options()
    require(table, COLUMNS)
    varying = names.varying(table)
    x = options.x or next(iter(varying), "step")
    left = [key for key in varying if key != x and key not in options.panels]
    lines = left if options.lines is None else options.lines
    rows = chosen_rows(table, [x, *lines, *options.panels], options.y)
    trials = _trials(rows, x, lines, options)
    means = _means(trials)
    with styled():
        columns = list(dict.fromkeys(trials["panel"]))
        figure = Figure(
            figsize=(1.2 + 3.4 * max(len(columns), 2), 0.9 + 2.7 * len(options.y)),
            layout="constrained",
        )
        places = figure.subplots(
            len(options.y), len(columns), squeeze=False, sharex=True, sharey="row"
        )
        letters = iter(LETTERS)
        for row, metric in zip(places, options.y, strict=True):
            for axes, panel in zip(row, columns, strict=True):
                here = (t[(t["metric"] == metric) & (t["panel"] == panel)] for t in (means, trials))
                _draw_panel(axes, *here, metric=metric, lines=list(dict.fromkeys(trials["line"])))
                title(axes, next(letters), panel)
            row[0].set_ylabel(names.metric(metric))
        for axes in places[-1]:
            axes.set_xlabel(names.setting(x))
        _scale(places.flat, trials["x"])
        handles, labels = places.flat[0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles, labels, loc="outside right upper")
        note(figure, [_reading(means, options.y), *unfinished(table)])
    return Drawing(figure=figure, panels={"means": means, "trials": trials})


def _trials(rows: pd.DataFrame, x: str, lines: Sequence[str], options: Options) -> pd.DataFrame:
    """One row for each trial, step and metric."""
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
    # Words and curves keep the order of the experiment file.
    return found.sort_values("x", kind="stable") if is_numeric_dtype(found["x"]) else found


def _means(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, and the reader's ceiling."""
    return (
        trials.groupby(["metric", "panel", "line", "x"], sort=False)
        .agg(
            trials=("value", "size"),
            mean=("value", "mean"),
            std=("value", "std"),
            ceiling=("ceiling", "mean"),
        )
        .reset_index()
    )


def _draw_panel(
    axes: Axes, means: pd.DataFrame, trials: pd.DataFrame, *, metric: str, lines: Sequence[str]
) -> None:
    """Draw curves of one metric, dots of single trials, and the ceiling of the reader."""
    scale = 100 if names.is_share(metric) else 1
    for index, line in enumerate(lines):
        colour, marker = look(index)
        mean, dot = (t[t["line"] == line] for t in (means, trials))
        axes.plot(dot["x"], scale * dot["value"], ".", color=colour, alpha=0.4, mew=0, ms=5)
        axes.errorbar(
            mean["x"], scale * mean["mean"], scale * mean["std"].fillna(0), color=colour,
            marker=marker, capsize=2, elinewidth=0.8, label=line,
        )  # fmt: skip
    if means["ceiling"].notna().any():
        ceiling = means.groupby("x", sort=False)["ceiling"].mean()
        axes.plot(ceiling.index, 100 * ceiling, color=GREY, ls="--", lw=0.9, zorder=0)
    if names.is_share(metric):
        axes.set_ylim(-4, 104)


def _scale(places: Iterable[Axes], values: "pd.Series[float]") -> None:
    """Make the horizontal axes logarithmic where their values are far apart."""
    positive = values[values > 0] if is_numeric_dtype(values) else values[:0]
    if len(positive) == 0 or positive.max() < _WIDE * positive.min():
        return
    for axes in places:
        if (values == 0).any():
            axes.set_xscale("symlog", linthresh=positive.min())
        else:
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")


def _reading(means: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Small print that says how to read the figure."""
    most = int(means["trials"].max())
    text = (
        f"Symbols: mean and standard deviation over up to {most} seeds; dots: single trials."
        if most > 1
        else "One seed each."
    )
    if any(metric.startswith("accuracy") for metric in metrics):
        text += " Dashed: the label reader's own accuracy on clean images of the same labels."
    return text
