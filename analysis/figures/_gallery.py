"""A grid of pictures, one trial and step per cell; shared by figures of views and samples."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures._grid import Setting, chosen_rows, in_words
from analysis.plotting import axis_labels
from analysis.plotting.figure_io import styled
from analysis.plotting.notes import note, unfinished
from factorlab.config import Settings

COLUMNS: Sequence[str] = (
    "key", "record", "seed", "step", "last", "accuracy", "state", "data.periodic",
)  # fmt: skip


MOST = 24
"""Maximum number of rows and of columns of a figure."""

_LINE = 24  # characters per line of a row or column name

Word = TypeVar("Word")


class Places(Settings):
    """Settings that place trials in the grid.

    If several trials share a cell, the first one of the experiment is shown.
    """

    rows: Setting | None = None
    """Setting of the rows, or `step`; by default there is one row."""

    columns: Setting | None = None
    """Setting of the columns, or `step`; by default the setting with most values."""


@dataclass(frozen=True)
class Cell:
    """A cell of the grid."""

    row: str
    """Name of the row."""

    column: str
    """Name of the column."""

    record: Path
    """Folder of the trial's record."""

    step: int
    """Optimizer step."""

    accuracy: float
    """Accuracy at the step, in [0, 1]."""

    periodic: bool
    """Whether the labels are periodic."""


def cells(table: pd.DataFrame, places: Places) -> tuple[list[Cell], list[str]]:
    """Choose the cells to show.

    Args:
        table: One row per trial and step.
        places: Settings that place trials in the grid.

    Returns:
        The cells row by row, and notes for the small print.

    Raises:
        NotDrawableError: A column is missing, or no trial was evaluated.
    """
    left = [key for key in axis_labels.varying(table) if key != places.rows]
    column = places.columns or next(iter(left), "step")
    keys = [key for key in (places.rows, column) if key is not None]
    rows = chosen_rows(table, ["record", *keys], ["accuracy"])
    if "step" in keys:  # all steps of one trial per row or column
        rows = rows[rows["key"].isin(_first(rows, [k for k in keys if k != "step"])["key"])]
    else:
        rows = _first(rows, keys)
    words = zip(
        in_words(rows, [places.rows] if places.rows else []), in_words(rows, [column]), strict=True
    )
    found = [
        Cell(row, name, Path(record), int(step), float(accuracy), bool(periodic))
        for (row, name), record, step, accuracy, periodic in zip(
            words, *(rows[k] for k in ("record", "step", "accuracy", "data.periodic")), strict=True
        )
    ]
    row_names, left_out = thinned([cell.row for cell in found], "rows")
    column_names, more = thinned([cell.column for cell in found], "columns")
    kept = [cell for cell in found if cell.row in row_names and cell.column in column_names]
    return kept, [*left_out, *more]


def thinned(words: Iterable[Word], what: str) -> tuple[list[Word], list[str]]:
    """Select up to `MOST` distinct values, evenly spaced, and return them with a note if needed."""
    distinct = list(dict.fromkeys(words))
    if len(distinct) <= MOST:
        return distinct, []
    chosen = np.linspace(0, len(distinct) - 1, MOST).round().astype(int)
    return [distinct[i] for i in chosen], [f"{MOST} of {len(distinct)} {what} are shown."]


def _first(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Select the first trial of each combination of settings, whose values may be pairs."""
    return rows[~rows[list(keys)].map(str).duplicated()] if keys else rows.head(1)


def gallery(
    table: pd.DataFrame,
    shown: Sequence[Cell],
    draw: Callable[[Axes, Cell], bool],
    sentences: Sequence[str],
) -> Figure:
    """Draw a grid of pictures.

    Args:
        table: All trials and steps, for the note on unfinished trials.
        shown: Cells returned by `cells`.
        draw: Draws a cell and returns whether there was anything to draw.
        sentences: Sentences for the small print.
    """
    row_names = list(dict.fromkeys(cell.row for cell in shown))
    column_names = list(dict.fromkeys(cell.column for cell in shown))
    with styled():
        figure = Figure(
            figsize=(0.9 + 1.55 * max(len(column_names), 3), 0.8 + 1.75 * len(row_names)),
            layout="constrained",
        )
        grid = figure.subplots(len(row_names), len(column_names), squeeze=False)
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        missing = 0
        for cell in shown:
            axes = grid[row_names.index(cell.row), column_names.index(cell.column)]
            axes.spines[:].set(visible=True, color="0.8")
            missing += not draw(axes, cell)
            axes.set_title(f"{100 * cell.accuracy:.0f} %", fontsize=7, loc="right", pad=2)
        for axes, name in zip(grid[0], column_names, strict=True):
            words = textwrap.fill(name, _LINE)
            axes.set_title(f"{words}\n", fontsize=8, pad=2)  # one line above the accuracy
        for axes, name in zip(grid[:, 0], row_names, strict=True):
            axes.set_ylabel(textwrap.fill(name, _LINE))
        left_out = [f"{missing} cells have nothing to show."] if missing else []
        text = " ".join([*sentences, "Above each cell: accuracy."])
        note(figure, [text, *left_out, *unfinished(table)])
    return figure


def by_cell(shown: Sequence[Cell], rows: Callable[[Cell], pd.DataFrame | None]) -> pd.DataFrame:
    """Concatenate the data of all cells, with columns for row, column and step."""

    def parts() -> Iterator[pd.DataFrame]:
        for cell in shown:
            found = rows(cell)
            if found is not None:
                yield found.assign(row=cell.row, column=cell.column, step=cell.step)

    tables = list(parts())
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
