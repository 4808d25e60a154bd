"""Generated images of trials or steps, with their labels ([F] Figs 6d, 10; [W] Figs 3, 4).

A grid of mosaics of the kept samples. A ring marks the label that the model was conditioned on.
Data: `labels`, with the labels predicted by the label reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.errors import NotDrawableError
from analysis.figures._gallery import COLUMNS, Cell, Places, by_cell, cells, gallery
from analysis.plotting.figure_io import COLOURS, Drawing
from analysis.plotting.style import mosaic
from analysis.tables.selection import require
from factorlab.storage.record import Record

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None

_SIDE = 4
"""Number of images along a side of a mosaic."""


class Options(Places):
    """Options of the figure in an experiment file."""


@dataclass(frozen=True)
class _Kept:
    images: NDArray[np.uint8]  # (K, N, N)
    labels: NDArray[np.float64]  # (K, 2)
    readings: NDArray[np.float64]  # (K, 2), NaN if no label was read


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Draw the generated images kept by evaluations.

    Args:
        table: One row per trial and step.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, or no samples were kept.
    """
    require(table, COLUMNS)
    shown, left_out = cells(table, options or Options())
    found = {cell: _read(cell) for cell in shown}
    if all(kept is None for kept in found.values()):
        raise NotDrawableError("No samples were kept; set evaluation.keep to keep some.")

    def images(axes: Axes, cell: Cell) -> bool:
        kept = found[cell]
        if kept is None:
            return False
        corners = mosaic(axes, list(kept.images), _SIDE, gap=1)
        for (top, left), (x, y) in zip(corners, kept.labels, strict=True):
            axes.plot(left + x - 1, top + y - 1, "o", mfc="none", mec=COLOURS[5], ms=3.2, mew=0.6)
        return True

    text = "Generated images; ring: the label that the model was conditioned on."
    return Drawing(
        figure=gallery(table, shown, images, [text, *left_out]),
        panels={"labels": by_cell(shown, lambda cell: _table(found[cell]))},
    )


def _read(cell: Cell) -> _Kept | None:
    """Read the samples kept by an evaluation, evenly thinned to the size of a mosaic."""
    arrays = Record(cell.record.parents[1], cell.record.name).read_samples(cell.step)
    if arrays is None:
        return None
    count = len(arrays["images"])
    chosen = np.linspace(0, count - 1, min(count, _SIDE**2)).astype(int)
    return _Kept(**{name: array[chosen] for name, array in arrays.items()})


def _table(kept: _Kept | None) -> pd.DataFrame | None:
    if kept is None:
        return None
    read = kept.readings
    return pd.DataFrame(
        {"x": kept.labels[:, 0], "y": kept.labels[:, 1], "read_x": read[:, 0], "read_y": read[:, 1]}
    )
