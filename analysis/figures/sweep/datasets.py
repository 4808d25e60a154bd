"""Labels of training sets ([F] Figs 4, 9, 11a, 14a).

A grid of trials, each with its 2D examples, stripes and held-out labels. Data: `labels`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.figures._gallery import COLUMNS, Cell, Places, by_cell, cells, gallery
from analysis.plotting.figure_io import COLOURS, Drawing
from analysis.tables.selection import labels_of, require
from factorlab.data.dataset import Dataset, build
from factorlab.data.lattice import held_out_mask
from factorlab.parsing import parse
from factorlab.storage.files import read_json

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = None


class Options(Places):
    """Options of the figure in an experiment file."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot the training labels of trials.

    Args:
        table: One row per trial and step.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, or no trial was evaluated.
    """
    require(table, COLUMNS)
    shown, left_out = cells(table, options or Options())
    found = {cell: _dataset(cell) for cell in shown}

    def scatter(axes: Axes, cell: Cell) -> bool:
        data = found[cell]
        n, size = data.data.size, float(np.clip(60 / len(data.lattice) ** 0.5, 0.7, 3.3))
        axes.add_patch(Rectangle((0.5, 0.5), n, n, fc="none", ec="0.4", lw=0.8))
        held_out = data.lattice[held_out_mask(data.lattice, data.data)]
        for points, colour in (
            (held_out, "0.85"),
            (data.stripes, COLOURS[1]),
            (data.lattice[data.seen], COLOURS[0]),
        ):
            axes.plot(*points.T, ".", ms=size, mew=0, color=colour)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        return True

    text = (
        "Training labels: 2D examples (blue) and stripes (orange). Grey: held-out labels. The "
        "frame marks the image; its top left pixel is (1, 1)."
    )
    return Drawing(
        figure=gallery(table, shown, scatter, [text, *left_out]),
        panels={"labels": by_cell(shown, lambda cell: labels_of(found[cell]))},
    )


def _dataset(cell: Cell) -> Dataset:
    config = read_json(cell.record / "config.json")
    assert config is not None  # an evaluated trial has a config
    settings = parse(config["config"])
    return build(settings.data, settings.seed)
