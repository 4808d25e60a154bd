"""Plot persistence diagrams ([F] Fig 2b)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.plotting.style import line_style

HOLES = ("pieces", "loops", "voids")
"""Names of holes of dimension 0, 1 and 2."""


def draw(
    axes: Axes,
    diagrams: Sequence[NDArray[np.floating[Any]]],
    numbers: Sequence[int],
    labels: Sequence[str],
    *,
    size: float,
) -> pd.DataFrame:
    """Plot every hole at its birth and death, with filled symbols for the counted holes.

    Args:
        axes: Axes to plot into.
        diagrams: Births and deaths, one array of shape (holes, 2) per dimension from 0 up, in
            units of the scale.
        numbers: Betti number of each dimension. This many of the longest-lived holes are counted.
        labels: Legend label of each dimension.
        size: Size of the symbols in points.

    Returns:
        One row per hole with the columns `birth`, `death`, `dimension` and `counts`.
    """
    tables = []
    axes.plot([0, 1], [0, 1], color="0.7", lw=1)
    for k, (diagram, number, label) in enumerate(zip(diagrams, numbers, labels, strict=True)):
        longest = np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")
        counts = np.isin(np.arange(len(diagram)), longest[:number])
        colour, marker = line_style(k)
        for mask, face in ((~counts, "none"), (counts, colour)):
            axes.plot(*diagram[mask].T, ls="", marker=marker, mfc=face, mec=colour, ms=size)
        axes.plot([], [], ls="", marker=marker, color=colour, label=label)
        table = pd.DataFrame(np.asarray(diagram), columns=["birth", "death"])
        tables.append(table.assign(dimension=k, counts=counts))
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    return pd.concat(tables, ignore_index=True)
