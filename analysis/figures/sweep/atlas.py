"""A measure of representations beyond the image, by layer, noise time and training step.

One panel per layer. Colour is the measure less that of the clean images at the layer's resolution:
where it is near zero, the layer may merely hold the image that is about to be drawn. The measure
itself stands in each cell. Step 0 is the untrained network. Data: `cells`.
"""

import re
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from analysis.errors import NotDrawableError
from analysis.figures._grid import COLUMNS, check_count
from analysis.plotting import axis_labels
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.plotting.style import letter, title
from analysis.tables.selection import final, require
from factorlab.config import Settings

__all__ = ["AXES", "COLUMNS", "Options", "draw"]

AXES: Sequence[str] | None = ("seed",)

_NAME = re.compile(r"(layer\d|bottleneck)(?:-t(\d+))?")
_MOST_PANELS = 7
_CELL = (0.62, 0.42)  # width and height in inches


class Options(Settings):
    """Options of the figure in an experiment file."""

    measure: str = "factorization"
    """Scalar measure of a layer whose value for the images is kept as well."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot a measure beyond the image for each layer.

    Args:
        table: One row per trial and step; all steps of finished trials are shown.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, or no layer has the measure.
    """
    options = options or Options()
    require(table, COLUMNS)
    cells = atlas_table(table, options.measure)
    layers = list(dict.fromkeys(cells["layer"]))
    check_count("layers", len(layers), _MOST_PANELS)
    steps, times = sorted(cells["step"].unique()), sorted(cells["time"].unique())
    most = float(cells["beyond"].abs().max()) or 1.0
    with styled():
        size = (1.6 + len(layers) * (0.3 + _CELL[0] * len(steps)), 1.7 + _CELL[1] * len(times))
        figure = Figure(figsize=size, layout="constrained")
        places = figure.subplots(1, len(layers), squeeze=False, sharey=True)[0]
        for index, (axes, layer) in enumerate(zip(places, layers, strict=True)):
            mesh = _panel(axes, cells[cells["layer"] == layer], (steps, times), most)
            title(axes, letter(index), str(layer))
            axes.set_xlabel("Optimizer step")
        places[0].set_ylabel("Noise time step")
        figure.colorbar(mesh, ax=list(places), label="Beyond the image")
        runs = int(cells["runs"].max())
        name = axis_labels.metric(options.measure)
        text = (
            f"In each cell: {name}, mean of {runs} run{'s' * (runs != 1)}. Colour: the same less "
            "that of the clean images at the layer's resolution, the null model."
        )
        note(figure, [text, *unfinished(table)])
    return Drawing(figure=figure, panels={"cells": cells})


def atlas_table(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return a measure and its value for the images, by layer, noise time and step.

    Args:
        table: One row per trial and step.
        measure: Name of a scalar measure.

    Returns:
        A table with the columns `layer`, `time` (0 without a suffix in the name), `step`, `runs`,
        `value`, `image` and `beyond` (their difference), each a mean over runs.

    Raises:
        NotDrawableError: No finished trial has the measure of a layer and of its image.
    """
    done = table[table["key"].isin(final(table)["key"])]
    parts = []
    for column in map(str, done):
        layer, slash, name = column.partition("/")
        named, null = _NAME.fullmatch(layer), f"{layer}/null_image_{measure}"
        if not (slash and name == measure and named and null in done):
            continue
        rows = done.dropna(subset=[column, null])
        grouped = rows.groupby("step")
        found = pd.DataFrame(
            {
                "layer": named[1],
                "time": int(named[2] or 0),
                "runs": grouped.size(),
                "value": grouped[column].mean(),
                "image": grouped[null].mean(),
            }
        )
        parts.append(found.reset_index())
    cells = pd.concat(parts) if parts else pd.DataFrame()
    if cells.empty:
        raise NotDrawableError(
            f"{measure} was not measured beside that of the images; run `factorlab analyse`."
        )
    cells = cells.assign(beyond=cells["value"] - cells["image"], step=cells["step"].astype(int))
    order = ["layer", "time", "step", "runs", "value", "image", "beyond"]
    return cells[order].sort_values(order[:3]).reset_index(drop=True)


def _panel(
    axes: Axes, cells: pd.DataFrame, at: tuple[Sequence[int], Sequence[int]], most: float
) -> QuadMesh:
    """Draw one layer."""
    steps, times = at
    wide = cells.pivot_table("beyond", "time", "step")
    wide = wide.reindex(index=pd.Index(times), columns=pd.Index(steps))
    mesh = axes.pcolormesh(wide.to_numpy(), cmap="PuOr_r", vmin=-most, vmax=most, ec="w", lw=1)
    places = cells[["step", "time"]].to_numpy(int).tolist()
    numbers = cells[["value", "beyond"]].to_numpy(float).tolist()
    for (step, time), (value, beyond) in zip(places, numbers, strict=True):
        x, y = steps.index(step) + 0.5, times.index(time) + 0.5
        colour = "white" if abs(beyond) > 0.7 * most else "black"
        axes.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks([i + 0.5 for i in range(len(steps))], [str(s) for s in steps], rotation=60)
    axes.set_yticks([i + 0.5 for i in range(len(times))], [str(t) for t in times])
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    return mesh
