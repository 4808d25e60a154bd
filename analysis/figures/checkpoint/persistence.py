"""Persistence diagrams of the model and of the ideal shapes ([F] Fig 2b).

Data: `holes`, distances in units of the scale of each diagram.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.measures.checkpoint import Measures
from analysis.measures.topology import Persistence, betti
from analysis.plotting import persistence
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import LETTERS, title

_IDEALS = {"clifford": "Clifford torus", "solid": "torus in space", "sheet": "flat sheet"}


def draw(measures: Measures) -> Drawing:
    """Plot birth and death of every hole, with filled symbols for the counted holes."""
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
    """Plot one diagram and return its data."""
    numbers = betti(found)
    labels = [
        f"{name} (H{k}): {number.number}, confidence {number.confidence:.2f}"
        for k, (name, number) in enumerate(zip(persistence.HOLES, numbers, strict=True))
    ]
    scaled = [diagram / found.scale for diagram in found.diagrams]
    table = persistence.draw(axes, scaled, [n.number for n in numbers], labels, size=6)
    axes.legend(loc="lower right", title="Filled: counts as a hole")
    return table
