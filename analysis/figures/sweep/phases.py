"""Phases of manifold formation over training, for each value of a setting ([W] Figs 3, 4).

There is one cell per value and step, with one field per seed. Data: `phases`.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.errors import NotDrawableError
from analysis.figures._grid import COLUMNS, Setting, chosen_rows, in_words, on_axis
from analysis.measures.phases import PHASES
from analysis.plotting import axis_labels
from analysis.plotting.axis import Places, beside, label_words
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.tables.selection import require
from factorlab.config import Layer, Settings
from factorlab.formatting import listed

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None

# Darker with increasing order; also distinct in greyscale.
_COLOURS: dict[str, str] = dict(zip(PHASES, ("#ededed", "#92b4d6", "#1f4e86"), strict=True))


# Maximum side of a figure, and least side of a field that shows its letter, in inches.
_MOST, _FIELD = 40, 0.13

# Characters per line of a row label.
_LINE = 30


class Options(Settings):
    """Options of the figure in an experiment file."""

    y: Setting | None = None
    """Setting of the rows; by default all settings that differ between the trials."""

    layer: Layer = "layer4"
    """Layer whose representations were measured."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot the phase of each trial at each measured step.

    Args:
        table: One row per trial and step.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, no trial has measured representations, or trials
            with the same row and seed differ in another setting.
    """
    options = options or Options()
    require(table, COLUMNS)
    keys = [options.y] if options.y else axis_labels.varying(table)
    rows = chosen_rows(table, ["step", *keys], [f"{options.layer}/phase"])
    for key in reversed(keys):  # numbers are sorted; words stay in the experiment file's order
        along = on_axis(rows, key)
        order = np.argsort(Places.of(along).place(along), kind="stable")
        rows = rows.iloc[order]
    only = len(keys) == 1
    fields = pd.DataFrame(
        {
            "y": axis_labels.distinct(list(rows[keys[0]])) if only else in_words(rows, keys),
            "step": rows["step"].astype(int).to_list(),
            "seed": rows["seed"].to_list(),
            "phase": rows[f"{options.layer}/phase"].to_list(),
        }
    )
    if fields.duplicated(["y", "step", "seed"]).any():
        others = ", ".join(key for key in axis_labels.varying(table) if key not in keys)
        raise NotDrawableError(f"Trials with the same {options.y} and seed differ in {others}.")
    with styled():
        steps, values = fields["step"].nunique(), fields["y"].nunique()
        size = (min(max(5.2, 1.6 + 0.75 * steps), _MOST), min(1.7 + 0.5 * values, _MOST))
        wider = beside(value[:_LINE] for value in fields["y"])
        figure = Figure(figsize=(size[0] + wider, size[1]), layout="constrained")
        axes = figure.subplots()
        seeds = _draw_fields(axes, fields, size)
        axes.set_xlabel(axis_labels.setting("step"))
        axes.set_ylabel(axis_labels.setting(keys[0]) if only else "")
        figure.legend(
            handles=[Patch(fc=_COLOURS[p], label=f"{p}: {text}") for p, text in PHASES.items()],
            loc="outside upper center",
            ncols=len(PHASES),
        )
        text = f"Each cell has one field per seed: {listed(map(axis_labels.bare, seeds))}."
        note(figure, [f"{text} White: not measured.", *unfinished(table)])
    return Drawing(figure=figure, panels={"phases": fields})


def _draw_fields(axes: Axes, fields: pd.DataFrame, size: tuple[float, float]) -> Sequence[float]:
    """Draw one field per value, step and seed.

    Args:
        axes: Axes to draw into.
        fields: Columns `y`, `step`, `seed` and `phase`.
        size: Width and height of the figure in inches.

    Returns:
        The seeds, sorted.
    """
    steps = sorted(fields["step"].unique())
    seeds = sorted(fields["seed"].unique())
    values = list(dict.fromkeys(fields["y"]))
    order: list[str] = list(PHASES)
    grid = np.full((len(values), len(steps) * len(seeds)), np.nan)
    room = size[0] > _FIELD * grid.shape[1] and size[1] > _FIELD * grid.shape[0]
    for row in fields.itertuples():
        column = steps.index(row.step) * len(seeds) + seeds.index(row.seed)
        grid[values.index(row.y), column] = order.index(str(row.phase))
        if room:
            axes.text(
                column + 0.5, values.index(row.y) + 0.5, str(row.phase), ha="center", va="center",
                fontsize=6, color="white" if row.phase == order[-1] else "black",
            )  # fmt: skip
    colours = ListedColormap([_COLOURS[p] for p in order])
    axes.pcolormesh(grid, cmap=colours, vmin=-0.5, vmax=len(order) - 0.5, ec="white", lw=0.3)
    for edge in range(1, len(steps)):
        axes.axvline(edge * len(seeds), color="white", lw=3)
    for edge in range(1, len(values)):
        axes.axhline(edge, color="white", lw=3)
    middles = ((np.arange(len(steps)) + 0.5) * len(seeds)).tolist()
    label_words(axes.xaxis, middles, [str(step) for step in steps], size[0] - 1.6)
    words = [textwrap.fill(value, _LINE) for value in values]
    label_words(axes.yaxis, (np.arange(len(values)) + 0.5).tolist(), words, size[1] - 1.2)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return seeds
