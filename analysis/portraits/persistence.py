"""Persistence diagrams of the model and of the ideals: when holes open and close ([F] Fig 2b).

Data: `holes`, distances in shares of each one's scale.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import Drawing, styled
from analysis.marks import LETTERS, look, title
from analysis.measures import Measures
from analysis.topology import Persistence, betti

_NAMES = ("pieces", "loops", "voids")
_IDEALS = {"clifford": "Clifford torus", "solid": "torus in space", "sheet": "flat sheet"}


def draw(measures: Measures) -> Drawing:
    """Draw birth and death of every hole; those that count are filled."""
    shown = {"model": measures.persistence} | dict(measures.ideals)
    tables = []
    with styled():
        figure = Figure(figsize=(3.2 * len(shown), 4.0), layout="constrained")
        row = figure.subplots(1, len(shown), sharex=True, sharey=True)
        for letter, axes, (name, found) in zip(LETTERS, row, shown.items(), strict=False):
            tables.append(_diagram(axes, found).assign(of=name))
            if name == "model":
                text = "model"
            else:
                loops, voids = (measures.distance(name, k) for k in (1, 2))
                text = f"{_IDEALS[name]}\nfrom it: loops {loops:.2f}, voids {voids:.2f}"
            title(axes, letter, text)
            axes.set_xlabel("Distance at which it opens")
        row[0].set_ylabel("Distance at which it closes (share of the scale)")
    return Drawing(figure=figure, panels={"holes": pd.concat(tables, ignore_index=True)})


def _diagram(axes: Axes, found: Persistence) -> pd.DataFrame:
    """Draw one diagram and return its numbers."""
    tables = []
    axes.plot([0, 1], [0, 1], color="0.7", lw=1)
    for k, (diagram, number) in enumerate(zip(found.diagrams, betti(found), strict=True)):
        longest = np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")
        counts = np.isin(np.arange(len(diagram)), longest[: number.number])
        colour, marker = look(k)
        for mask, face in ((~counts, "none"), (counts, colour)):
            axes.plot(
                *(diagram[mask] / found.scale).T,
                ls="", marker=marker, mfc=face, mec=colour, ms=6,
            )  # fmt: skip
        axes.plot(
            [], [], ls="", marker=marker, color=colour,
            label=f"{_NAMES[k]} (H{k}): {number.number}, confidence {number.confidence:.2f}",
        )  # fmt: skip
        table = pd.DataFrame(diagram / found.scale, columns=["birth", "death"])
        tables.append(table.assign(dimension=k, counts=counts))
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_aspect("equal")
    axes.legend(loc="lower right", title="Filled: counts as a hole")
    return pd.concat(tables, ignore_index=True)
