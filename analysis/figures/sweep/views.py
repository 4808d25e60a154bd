"""Views of representations, one point per label ([F] Figs 2, 11, 15; [W] Figs 3, 4).

A grid of trials or steps. Each cell shows the UMAP embedding along its two directions of largest
variance, or two principal components, coloured by a label. Data: `points`.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.errors import NotDrawableError
from analysis.figures._gallery import COLUMNS, Cell, Places, by_cell, cells, gallery
from analysis.measures import measurement_cache
from analysis.measures.measurement_cache import Floats
from analysis.measures.pca import principal
from analysis.plotting.figure_io import Drawing
from analysis.plotting.style import label_colours
from analysis.tables.selection import require

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None


class Options(Places):
    """Options of the figure in an experiment file."""

    layer: str = "layer4"
    """Layer whose representations were measured."""

    view: Literal["umap", "components", "next-components"] = "umap"
    """UMAP embedding, principal components 1 and 2, or principal components 3 and 4."""

    colour: Literal["x", "y"] = "x"
    """Label that determines the colour."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot views of the measured representations.

    Args:
        table: One row per trial and step.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, or the layer was not measured.
    """
    options = options or Options()
    require(table, COLUMNS)
    shown, left_out = cells(table, options)
    found = {cell: _points(cell, options) for cell in shown}
    if all(points is None for points in found.values()):
        raise NotDrawableError(f"{options.layer} has not been measured; run `factorlab analyse`.")

    def scatter(axes: Axes, cell: Cell) -> bool:
        points = found[cell]
        if points is None:
            return False
        cmap = label_colours(periodic=cell.periodic)
        axes.scatter(
            points["first"], points["second"], c=points[options.colour], cmap=cmap, s=3, lw=0
        )
        axes.set_aspect("equal", adjustable="datalim")
        return True

    kinds = {
        "umap": "UMAP embedding along its two directions of largest variance",
        "components": "Principal components 1 and 2",
        "next-components": "Principal components 3 and 4",
    }
    text = f"{kinds[options.view]}, {options.layer}; colour: label {options.colour}."
    return Drawing(
        figure=gallery(table, shown, scatter, [text, *left_out]),
        panels={"points": by_cell(shown, lambda cell: found[cell])},
    )


def _points(cell: Cell, options: Options) -> pd.DataFrame | None:
    """Return the points of a cell: labels `x` and `y`, and two coordinates."""
    kept = measurement_cache.read(cell.record, options.layer, cell.step)
    if kept is None:
        return None
    if options.view == "umap":
        flat: Floats = principal(kept.embedding).scores[:, :2]
    else:
        first = 0 if options.view == "components" else 2
        flat = kept.scores[:, first : first + 2]
    flat = np.round(np.asarray(flat, dtype=float), 4)
    return pd.DataFrame(
        {"x": kept.labels[:, 0], "y": kept.labels[:, 1], "first": flat[:, 0], "second": flat[:, 1]}
    )
