"""The two rows of panels of the scaling figure."""

from itertools import zip_longest

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from analysis.plotting.axis_labels import FAMILIES
from analysis.plotting.figure_io import COLOURS, MARKERS
from analysis.plotting.style import GREY, LETTERS, line_style, plain_log, title
from analysis.tables.selection import where

_THEORY_LINES = (":", "-.", "--")
_THEORY_MARKERS = ("x", "+", "1")

# Maximum number of percolation thresholds, one line style each.
MAX_THRESHOLDS = len(_THEORY_LINES)

# Maps the name of a layer to its data, as in `Drawing.panels`.
Panels = dict[str, pd.DataFrame]


def draw_accuracies(parent: SubFigure, panels: Panels, *, level: float) -> None:
    """Draw the upper row: accuracy and mass ratio against lambda, one panel per data family.

    Args:
        parent: Subfigure to draw into.
        panels: Layers `accuracy`, `trials`, `mass-ratio` and `critical`.
        level: Accuracy in [0, 1] marked by a red line; 0 and 1 are marked as well.
    """
    families = list(dict.fromkeys(panels["accuracy"]["family"]))
    sizes = sorted(set(panels["accuracy"]["size"]))
    row = parent.subplots(1, len(families), sharex=True, sharey=True, squeeze=False)[0]
    for letter, family, axes in zip(LETTERS, families, row, strict=False):
        for value in (0, level, 1):
            axes.axhline(100 * value, color="red", ls="--", lw=0.8, zorder=0)
        for threshold, line in zip(_thresholds(panels["mass-ratio"]), _THEORY_LINES, strict=False):
            for share in _numbers(where(panels["critical"], threshold=threshold), "critical"):
                axes.axvline(share, color="0.3", ls=line, lw=0.9, zorder=0)
        for i, size in enumerate(sizes):
            _draw_accuracy(axes, panels, family, size, style=line_style(i))
        axes.set(xscale="log", ylim=(-4, 104), xlabel="Share of the lattice kept, λ")
        axes.set_yticks(sorted({0, 20, 40, 60, 80, 100, round(100 * level)}))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        title(axes, letter, FAMILIES.get(family, family))
    row[0].set_ylabel("Accuracy, largest cluster (%)")
    _explain(parent, sizes, _thresholds(panels["mass-ratio"]))


def draw_crossings(parent: SubFigure, panels: Panels, *, level: float) -> None:
    """Draw the lower row: samples at the crossing against N, for both ways of counting.

    Args:
        parent: Subfigure to draw into.
        panels: Layers `accuracy`, `crossings`, `exponents`, `advantages`, `predictions` and
            `prediction-exponents`.
        level: Accuracy at the crossing.
    """
    families = list(dict.fromkeys(panels["accuracy"]["family"]))
    sizes = np.array(sorted(set(panels["accuracy"]["size"])), dtype=np.float64)
    row = parent.subplots(1, 2, sharex=True)
    for axes, count in zip(row, ("samples_2d", "samples_total"), strict=True):
        for i, family in enumerate(families):
            _draw_family(axes, panels, family, count, style=_family_style(i))
        if count == "samples_2d":
            _draw_predictions(axes, panels)
            _draw_nulls(axes, panels)
        axes.set(xscale="log", yscale="log", xlabel="Side of the frame, N (pixels)")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        plain_log(axes.yaxis, (1, 2, 5))
        axes.set_xlim(sizes.min() / 1.12, sizes.max() * 1.35)
        _widen(axes)
        _draw_references(axes, sizes, where(panels["crossings"], count=count))
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.22), borderaxespad=0, handlelength=2.6)
    row[0].set_ylabel(f"Samples at {100 * level:g} % accuracy")
    title(row[0], LETTERS[len(families)], "2D examples alone")
    title(row[1], LETTERS[len(families) + 1], "Whole data set")


def _explain(parent: SubFigure, sizes: list[int], thresholds: list[float]) -> None:
    """Add the legend of the upper row: first the N, then beside or below them the thresholds."""
    curves = [
        Line2D([], [], color=line_style(i)[0], marker=line_style(i)[1], label=f"N = {size}")
        for i, size in enumerate(sizes)
    ]
    theory = [
        Line2D([], [], color="0.3", ls=line, lw=0.9, label=f"cluster, overlap > {threshold:g}")
        for threshold, line in zip(thresholds, _THEORY_LINES, strict=False)
    ]
    handles = [*curves, *theory]
    columns = len(handles)
    if columns > 6:  # two rows; matplotlib fills a legend column by column
        columns = max(len(curves), len(theory))
        blank = Line2D([], [], ls="", label=" ")
        pairs = zip_longest(curves, theory, fillvalue=blank)
        handles = [handle for pair in pairs for handle in pair]
    parent.legend(handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.4)


def _draw_accuracy(
    axes: Axes, panels: Panels, family: str, size: int, *, style: tuple[str, str]
) -> None:
    """Draw accuracy and mass ratio of one family and N."""
    colour, marker = style
    ratios = panels["mass-ratio"]
    for threshold, line in zip(_thresholds(ratios), _THEORY_LINES, strict=False):
        curve = where(ratios, size=size, threshold=threshold)
        axes.plot(curve["subsample"], 100 * curve["mass_ratio"], color=colour, ls=line, lw=0.9)
    dots = where(panels["trials"], family=family, size=size)
    axes.plot(dots["subsample"], 100 * dots["accuracy"], ".", ms=5, color=colour, alpha=0.4, mew=0)
    mean = where(panels["accuracy"], family=family, size=size)
    axes.errorbar(
        mean["subsample"],
        100 * mean["mean"],
        100 * mean["std"].fillna(0),
        color=colour,
        marker=marker,
        capsize=2,
        elinewidth=0.8,
    )


def _draw_family(
    axes: Axes, panels: Panels, family: str, count: str, *, style: tuple[str, str]
) -> None:
    """Draw the crossings of one family, with intervals and the fitted power law."""
    colour, marker = style
    label = FAMILIES.get(family, family)
    points = where(panels["crossings"], family=family, count=count)
    points = points[points["value"].notna()]
    size, value, low, high = (_numbers(points, name) for name in ("size", "value", "low", "high"))
    fit = where(panels["exponents"], family=family, count=count)
    if not len(points):
        label += ": no crossing"
    elif np.isnan(_numbers(fit, "exponent")[0]):
        label += f": N = {size[0]:g} alone, no exponent"
    else:
        label += f": {_exponent(fit)}"
        axes.plot(
            size,
            _numbers(fit, "prefactor")[0] * size ** _numbers(fit, "exponent")[0],
            color=colour,
            lw=1.2,
        )
    axes.errorbar(
        size,
        value,
        np.nan_to_num(np.array([value - low, high - value])),  # an open end has no error bar
        color=colour,
        marker=marker,
        mfc=colour if count == "samples_2d" else "white",
        ls="",
        capsize=2.5,
        elinewidth=0.9,
        label=label,
    )


def _draw_predictions(axes: Axes, panels: Panels) -> None:
    """Draw the percolation predictions, one thin curve per threshold."""
    for i, threshold in enumerate(_thresholds(panels["predictions"])):
        points = where(panels["predictions"], threshold=threshold)
        points = points[points["value"].notna()]
        fit = where(panels["prediction-exponents"], threshold=threshold)
        label = f"Percolation, overlap > {threshold:g}"
        if not len(points):
            label += ": never connected"
        elif not np.isnan(_numbers(fit, "exponent")[0]):
            label += f": {_exponent(fit)}"
        axes.errorbar(
            _numbers(points, "size"),
            _numbers(points, "value"),
            np.nan_to_num(_numbers(points, "error")),
            color="0.45",
            ls=_THEORY_LINES[i],
            marker=_THEORY_MARKERS[i],
            lw=0.9,
            elinewidth=0.8,
            label=label,
        )


def _draw_nulls(axes: Axes, panels: Panels) -> None:
    """Draw the examples that a model needs that draws the nearest one."""
    found = panels["advantages"].dropna(subset="null").drop_duplicates("size").sort_values("size")
    if len(found):
        axes.plot(
            _numbers(found, "size"),
            _numbers(found, "null"),
            color="black",
            ls=(0, (1, 1)),
            marker="*",
            lw=0.9,
            label="Nearest example (null model)",
        )


def _draw_references(axes: Axes, sizes: NDArray[np.float64], crossings: pd.DataFrame) -> None:
    """Draw grey lines of slopes 1 and 2 through the geometric mean of the crossings."""
    crossings = crossings[crossings["value"].notna()]
    if not len(crossings) or len(sizes) < 2:
        return
    middle = np.exp(np.log(_numbers(crossings, "size")).mean())
    value = np.exp(np.log(_numbers(crossings, "value")).mean())
    ends = np.array([sizes.min(), sizes.max() * 1.05])
    limits = axes.get_ylim()
    for slope in (1, 2):
        line = value * (ends / middle) ** slope
        axes.plot(ends, line, color=GREY, lw=0.8, ls=(0, (6, 3)), zorder=0)
        axes.annotate(
            f"slope {slope}",
            (ends[1], line[1]),
            (3, 0),
            textcoords="offset points",
            color=GREY,
            fontsize=7,
            va="center",
            annotation_clip=True,
        )
    axes.set_ylim(*limits)


def _widen(axes: Axes) -> None:
    """Extend the count axis to at least a factor of 20, so that slopes are visible."""
    low, high = axes.get_ylim()
    factor = max(1.0, np.sqrt(20 * low / high)) * 1.25
    axes.set_ylim(low / factor, high * factor)


def _family_style(index: int) -> tuple[str, str]:
    """Return the style of the index-th family; colours run backwards, as N uses the first ones."""
    return COLOURS[-1 - index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def _exponent(fit: pd.DataFrame) -> str:
    """Format an exponent, with its interval if known: `N^1.95 [1.80, 2.10]`."""
    exponent, low, high = (_numbers(fit, name)[0] for name in ("exponent", "low", "high"))
    text = rf"$\propto N^{{{exponent:.2f}}}$"
    return text if np.isnan(low) else f"{text} [{low:.2f}, {high:.2f}]"


def _thresholds(table: pd.DataFrame) -> list[float]:
    return list(dict.fromkeys(_numbers(table, "threshold").tolist()))


def _numbers(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    return table[column].to_numpy(dtype=np.float64)
