"""Images and labels of each data family ([F] Figs 1, 9; [W] Fig. 2).

Above: random examples from the data set. Below: all labels in and around the frame. Data: `images`
(labels of the examples) and `labels` (all labels).
"""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.plotting.axis_labels import FAMILIES
from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.notes import note
from analysis.plotting.style import LETTERS, mosaic, title
from analysis.tables.selection import labels_of
from factorlab import families
from factorlab.config import DataSettings
from factorlab.data.dataset import build
from factorlab.data.rendering import render, to_8_bit, to_model

_SIDE = 3
"""Number of images along a side of a mosaic."""


def draw(*, size: int = 32, sigma: float = 1.0, spacing: float = 1.0, seed: int = 0) -> Drawing:
    """Draw examples and labels of all data families.

    Args:
        size: Side N of the images in pixels.
        sigma: Spread of the bumps in pixels.
        spacing: Increment of the lattice in pixels.
        seed: Seed of the data sets and of the choice of examples.

    Returns:
        The figure and its data: `images` and `labels`, with the columns `family`, `kind` (`2D` or
        `stripe`), `x` and `y` (pixels).

    Raises:
        ValidationError: A parameter is out of its range.
    """
    # The whole lattice is drawn, which has all stripes in it.
    names = [name for name in families.families() if not name.endswith(families.THINNED)]
    tables, examples = {}, {}
    for family in names:
        data = DataSettings.model_validate(
            {"family": family, "size": size, "sigma": sigma, "spacing": spacing}
        )
        dataset = build(data, seed)
        tables[family] = labels_of(dataset).assign(family=family)
        examples[family] = _examples(tables[family], seed)
    with styled():
        figure = Figure(figsize=(2.3 * len(names), 5.0), layout="constrained")
        above, below = figure.subplots(2, len(names))
        for letter, axes, family in zip(LETTERS, above, names, strict=False):
            _draw_images(axes, examples[family], data.model_copy(update={"family": family}))
            title(axes, letter, FAMILIES[family])
        for axes, family in zip(below, names, strict=True):
            _draw_labels(axes, tables[family], data)
        below[0].set_ylabel("y (pixels)")
        for axes in below[1:]:
            axes.tick_params(labelleft=False)
        text = (
            f"N = {size}, σ = {sigma:g}, lattice increment {spacing:g}. Below: labels of 2D "
            "examples (blue) and of stripes (orange). The frame marks the image; its top left "
            "pixel is (1, 1)."
        )
        note(figure, [text])
    panels = {
        name: pd.concat(parts.values(), ignore_index=True)
        for name, parts in (("images", examples), ("labels", tables))
    }
    return Drawing(figure=figure, panels=panels)


def _examples(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Choose the labels of the examples; a family with both kinds shows about half of each."""
    kinds = table.groupby("kind", sort=False)
    parts = np.array_split(range(_SIDE**2), kinds.ngroups)
    return pd.concat(
        rows.sample(len(part), random_state=seed)
        for (_, rows), part in zip(kinds, parts, strict=True)
    )


def _draw_images(axes: Axes, examples: pd.DataFrame, data: DataSettings) -> None:
    """Draw a mosaic of images."""
    labels = torch.tensor(examples[["x", "y"]].to_numpy(), dtype=torch.float64)
    images = to_8_bit(to_model(render(labels, data))).numpy()
    mosaic(axes, list(images), _SIDE, gap=max(1, data.size // 16))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _draw_labels(axes: Axes, table: pd.DataFrame, data: DataSettings) -> None:
    """Plot the labels on the canvas."""
    size, beyond = data.size, data.canvas_margin + 1
    for colour, kind in zip(COLOURS, ("2D", "stripe"), strict=False):
        rows = table[table["kind"] == kind]
        axes.plot(rows["x"], rows["y"], ".", color=colour, ms=2.2, mew=0)
    axes.add_patch(Rectangle((0.5, 0.5), size, size, fc="none", ec="0.3", lw=0.8))
    axes.set(aspect="equal", xlim=(1 - beyond, size + beyond), ylim=(size + beyond, 1 - beyond))
    axes.set_xlabel("x (pixels)")
