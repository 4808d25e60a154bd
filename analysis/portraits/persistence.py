"""Persistence diagram: when holes open and close ([F] Fig 2b). Data: `holes`."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing import Drawing, styled
from analysis.marks import look
from analysis.measures import Measures

_NAMES = ("pieces", "loops", "voids")


def draw(measures: Measures) -> Drawing:
    """Draw birth and death of every hole; those that count are filled."""
    found, scale = measures.persistence, measures.persistence.scale
    tables = []
    with styled():
        figure = Figure(figsize=(4.6, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="0.7", lw=1)
        for k, (diagram, betti) in enumerate(zip(found.diagrams, measures.betti, strict=True)):
            longest = np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")
            counts = np.isin(np.arange(len(diagram)), longest[: betti.number])
            colour, marker = look(k)
            for mask, face in ((~counts, "none"), (counts, colour)):
                axes.plot(
                    *(diagram[mask] / scale).T, ls="", marker=marker, mfc=face, mec=colour, ms=6
                )
            axes.plot(
                [], [], ls="", marker=marker, color=colour,
                label=f"{_NAMES[k]} (H{k}): {betti.number}, confidence {betti.confidence:.2f}",
            )  # fmt: skip
            table = pd.DataFrame(diagram / scale, columns=["birth", "death"])
            tables.append(table.assign(dimension=k, counts=counts))
        axes.set_xlabel("Distance at which it opens (scale of the whole)")
        axes.set_ylabel("Distance at which it closes")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_aspect("equal")
        axes.legend(loc="lower right", title="Filled: counts as a hole")
    return Drawing(figure=figure, panels={"holes": pd.concat(tables, ignore_index=True)})
