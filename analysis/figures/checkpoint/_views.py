"""Scatter plots in two or three dimensions, coloured by labels."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from analysis.measures.checkpoint import Floats, Measures
from analysis.plotting.style import label_colours


def columns_of(measures: Measures, coordinates: Floats, names: list[str]) -> pd.DataFrame:
    """Return the data of a view: coordinates and labels."""
    table = pd.DataFrame(coordinates, columns=names)
    return table.assign(x=measures.labels[:, 0], y=measures.labels[:, 1])


def scatter(axes: Axes, measures: Measures, coordinates: Floats, label: int) -> ScalarMappable:
    """Plot points in two or three dimensions, coloured by a label.

    Args:
        axes: Axes to plot into; 3D axes for three coordinates.
        measures: Measures of the points.
        coordinates: Coordinates of the points, shape (samples, 2 or 3).
        label: Index of the label: 0 for x, 1 for y.

    Returns:
        The mappable for a colour bar.
    """
    values = measures.labels[:, label]
    shading = ScalarMappable(
        Normalize(values.min(), values.max()),
        label_colours(periodic=measures.period is not None),
    )
    dots: dict[str, Any] = {
        "c": shading.to_rgba(values),
        "s": 7,
        "linewidths": 0.2,
        "edgecolors": "0.5",
    }
    axes.scatter(*coordinates.T, **dots)
    axes.set_aspect("equal", adjustable="datalim")
    for axis in "xyz":
        if hasattr(axes, f"{axis}axis"):
            getattr(axes, f"{axis}axis").set_ticklabels([])
    return shading
