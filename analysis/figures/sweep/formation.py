"""Formation of a layer's representation: spectra, holes and components per step ([F] Fig. 2).

The figure shows one trial, with one column per measured step. The rows show the variance shares of
the leading principal components, the persistence diagram, components 1 and 2 coloured by x, and
components 3 and 4 coloured by y. Data: `spectra`, `holes` and `points`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from analysis.errors import NotDrawableError
from analysis.figures._gallery import COLUMNS, thinned
from analysis.measures import measurement_cache
from analysis.measures.measurement_cache import CachedMeasures
from analysis.plotting import axis_labels, persistence
from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.plotting.style import LETTERS, label_colours, title
from analysis.tables.selection import require
from factorlab.config import Layer, Settings

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None


class Options(Settings):
    """Options of the figure in an experiment file."""

    layer: Layer = "layer4"
    """Layer whose representations were measured."""

    seed: int = Field(default=0, ge=0)
    """Seed of the trial; among several trials, the first one of the experiment is shown."""


@dataclass(frozen=True)
class _Column:
    """One step of the trial."""

    step: int
    accuracy: float
    betti: tuple[int, ...]
    kept: CachedMeasures


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot the measures of one layer of one trial at each step.

    Args:
        table: One row per trial and step.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, or the layer was not measured.
    """
    options = options or Options()
    require(table, COLUMNS)
    columns, periodic, left_out = _columns(table, options)
    with styled():
        figure = Figure(figsize=(0.6 + 1.75 * max(len(columns), 3), 8.2), layout="constrained")
        grid = figure.subplots(4, len(columns), squeeze=False)
        holes: list[pd.DataFrame] = []
        for place, column in zip(grid.T, columns, strict=True):
            _draw_spectrum(place[0], column)
            holes.append(_draw_holes(place[1], column))
            for axes, first, label in ((place[2], 0, 0), (place[3], 2, 1)):
                _draw_points(axes, column, first, label, periodic=periodic)
        _share_axes(grid)
        for letter, row, text in zip(LETTERS, grid, _WORDS, strict=False):
            title(row[0], letter, "")
            row[0].set_ylabel(text)
        trial = axis_labels.combination(["seed"], [options.seed])
        text = (
            f"{options.layer}, {trial}. Above each column: step and accuracy. Bars: variance share "
            "of each component; the number is the share of the first four. Diagrams: distances at "
            "which holes open and close, in units of the scale; filled: counted holes, with the "
            "Betti numbers. Components: one point per label."
        )
        handles, labels = grid[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
        note(figure, [text, *left_out, *unfinished(table)])
    return Drawing(figure=figure, panels=_panels(columns, holes))


_WORDS = (
    "Share of the variance (%)",
    "Closes at",
    "Components 1 and 2\n(colour: x)",
    "Components 3 and 4\n(colour: y)",
)


def _columns(table: pd.DataFrame, options: Options) -> tuple[list[_Column], bool, list[str]]:
    """Return the steps to show, whether the labels are periodic, and notes for the small print."""
    column = f"{options.layer}/betti_1"
    rows = table[table["seed"] == options.seed]
    rows = rows.dropna(subset=column) if column in rows else rows.iloc[:0]
    found = []
    rows = rows[rows["key"] == rows["key"].iloc[0]] if len(rows) else rows
    steps, left_out = thinned(rows["step"], "steps")
    for row in rows[rows["step"].isin(steps)].to_dict("records"):
        kept = measurement_cache.read(Path(row["record"]), options.layer, int(row["step"]))
        if kept is not None:
            betti = tuple(
                int(row[f"{options.layer}/betti_{k}"]) for k in range(len(persistence.HOLES))
            )
            found.append(_Column(int(row["step"]), float(row["accuracy"]), betti, kept))
    if not found:
        raise NotDrawableError(
            f"{options.layer} has not been measured in a trial with seed {options.seed}; run "
            "`factorlab analyse`."
        )
    return found, bool(rows.iloc[0]["data.periodic"]), left_out


def _draw_spectrum(axes: Axes, column: _Column) -> None:
    shares = 100 * column.kept.shares
    axes.bar(np.arange(1, len(shares) + 1), shares, color=COLOURS[0])
    axes.set_title(f"step {column.step}: {100 * column.accuracy:.0f} %", fontsize=8)
    axes.text(
        0.97, 0.95, f"{shares[:4].sum():.0f} %", transform=axes.transAxes, ha="right", va="top",
        fontsize=8,
    )  # fmt: skip
    axes.set_xlabel("Component")


def _draw_holes(axes: Axes, column: _Column) -> pd.DataFrame:
    labels = [f"{name} (H{k})" for k, name in enumerate(persistence.HOLES)]
    table = persistence.draw(axes, column.kept.diagrams, column.betti, labels, size=4)
    axes.text(
        0.97, 0.05, f"({', '.join(map(str, column.betti))})", transform=axes.transAxes, ha="right",
        fontsize=8,
    )  # fmt: skip
    axes.set_xlabel("Opens at")
    return table.assign(step=column.step)


def _draw_points(axes: Axes, column: _Column, first: int, label: int, *, periodic: bool) -> None:
    scores, labels = column.kept.scores[:, first : first + 2], column.kept.labels[:, label]
    cmap = label_colours(periodic=periodic)
    axes.scatter(scores[:, 0], scores[:, 1], c=labels, cmap=cmap, s=3, lw=0)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")


def _share_axes(grid: "np.ndarray[tuple[int, int], np.dtype[np.object_]]") -> None:
    """Use one vertical scale per row for all steps, in the upper two rows."""
    for row in grid[:2]:
        for axes in row[1:]:
            axes.sharey(row[0])
            axes.tick_params(labelleft=False)


def _panels(columns: Sequence[_Column], holes: Sequence[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the data of all rows of panels."""
    spectra, points = [], []
    for column in columns:
        step, kept = column.step, column.kept
        component = np.arange(1, len(kept.shares) + 1)
        spectra.append(pd.DataFrame({"step": step, "component": component, "share": kept.shares}))
        scores = np.round(kept.scores[:, :4].astype(float), 4)
        table = pd.DataFrame(scores, columns=[f"component_{i}" for i in range(1, 5)])
        points.append(table.assign(step=step, x=kept.labels[:, 0], y=kept.labels[:, 1]))
    parts = {"spectra": spectra, "holes": holes, "points": points}
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
