"""Orthogonality and parallelism of displacements beside the two ideal tori ([F] Figs 3, 8).

Data: `angles`, the share of displacements in each bin.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import COLOURS, Drawing, styled
from analysis.factorization import Angles, angles, clifford_torus, solid_torus
from analysis.marks import LETTERS, title
from analysis.measures import Floats, Measures

_PANELS = (
    ("orthogonality", "x-on-y"),
    ("orthogonality", "x-on-x"),
    ("orthogonality", "y-on-y"),
    ("parallelism", "x-on-y"),
    ("parallelism", "y-on-x"),
    ("parallelism", "x-on-x"),
    ("parallelism", "y-on-y"),
)
_BINS = 40
_RANGES = {"orthogonality": (0.0, 1.0), "parallelism": (-1.0, 1.0)}


def draw(measures: Measures) -> Drawing:
    """Draw the distributions of the model and of the ideals on the same grid."""
    shown: dict[str, Angles] = {
        "model": measures.angles,
        "factorized ideal (Clifford torus)": angles(clifford_torus(*measures.sides), periodic=True),
        "coupled ideal (torus in space)": angles(solid_torus(*measures.sides), periodic=True),
    }
    tables = []
    with styled():
        figure = Figure(figsize=(9.6, 4.8), layout="constrained")
        places = figure.subplots(2, 4)
        flat = [*places[0, :3], *places[1]]
        for letter, axes, (kind, name) in zip(LETTERS, flat, _PANELS, strict=False):
            values = {model: getattr(found, kind)[name] for model, found in shown.items()}
            tables.append(_histogram(axes, kind, values).assign(kind=kind, pair=name))
            title(axes, letter, f"{name} {kind}")
            axes.set_xlabel("|cos| of two displacements" if kind == "orthogonality" else "cos")
        for row in places:
            row[0].set_ylabel("Share of pairs (%)")
        places[0, 3].axis("off")
        places[0, 3].legend(*flat[0].get_legend_handles_labels(), loc="center")
        places[0, 3].set_title(f"Factorization {measures.score:.2f} (0 coupled, 1 apart)")
    return Drawing(figure=figure, panels={"angles": pd.concat(tables, ignore_index=True)})


def _histogram(axes: Axes, kind: str, values: Mapping[str, Floats]) -> pd.DataFrame:
    """Draw histograms on the same bins and return their numbers."""
    edges = np.linspace(*_RANGES[kind], _BINS + 1)
    columns = {}
    for (model, cosines), colour, style in zip(
        values.items(), COLOURS, ("-", "--", ":"), strict=False
    ):
        inside = np.clip(cosines, edges[0], edges[-1])
        share = 100 * np.histogram(inside, edges)[0] / len(cosines)
        axes.stairs(share, edges, color=colour, ls=style, fill=style == "-", alpha=0.8, label=model)
        columns[model.partition(" ")[0]] = share
    axes.set_ylim(0, 1.1 * max(float(columns["model"].max()), 10))
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], **columns})
