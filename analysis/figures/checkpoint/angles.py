"""Orthogonality and parallelism of displacements, compared to the ideal tori ([F] Figs 3, 8).

The distributions of the ideal tori are those of infinitely fine grids, sampled from closed forms.
Data: `angles`, the percentage of displacement pairs in each bin.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.measures.checkpoint import Floats, Measures
from analysis.measures.factorization import Angles
from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.style import LETTERS, title

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
_DRAWS = 200_000
_RANGES = {"orthogonality": (0.0, 1.0), "parallelism": (-1.0, 1.0)}


def draw(measures: Measures) -> Drawing:
    """Plot the distributions of the model and of the ideal tori in the same bins."""
    shown = {"model": measures.angles} | _ideals()
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
        score = f"Factorization {measures.score:.2f}\n(0 coupled, 1 apart)"
        places[0, 3].legend(*flat[0].get_legend_handles_labels(), loc="center", title=score)
    return Drawing(figure=figure, panels={"angles": pd.concat(tables, ignore_index=True)})


def _ideals() -> dict[str, Angles]:
    """Sample the angles of the ideal tori at random pairs of positions."""
    a, b = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, _DRAWS))
    one, along = np.ones(_DRAWS), np.abs(np.cos(a))
    parallel = {"x-on-y": one, "y-on-x": one, "x-on-x": one, "y-on-y": one}
    return {
        "factorized ideal\n(Clifford torus)": Angles(
            orthogonality={"x-on-y": 0 * one, "x-on-x": along, "y-on-y": along},
            parallelism=parallel,
        ),
        # At angle y of the tube, dY is -sin y along the radial direction of the ring at x, plus
        # cos y along the axis. dX lies in the plane of the ring, orthogonal to that direction.
        "coupled ideal\n(torus in space)": Angles(
            orthogonality={
                "x-on-y": np.abs(np.sin(a) * np.sin(b)),
                "x-on-x": along,
                "y-on-y": along,
            },
            parallelism=parallel | {"y-on-x": np.sin(a) ** 2 * np.cos(b) + np.cos(a) ** 2},
        ),
    }


def _histogram(axes: Axes, kind: str, values: Mapping[str, Floats]) -> pd.DataFrame:
    """Plot histograms with the same bins and return their data."""
    edges = np.linspace(*_RANGES[kind], _BINS + 1)
    columns = {}
    for (model, cosines), colour, style in zip(
        values.items(), COLOURS, ("-", "--", ":"), strict=False
    ):
        inside = np.clip(cosines, edges[0], edges[-1])
        share = 100 * np.histogram(inside, edges)[0] / len(cosines)
        axes.stairs(share, edges, color=colour, ls=style, fill=style == "-", alpha=0.8, label=model)
        columns[model.split()[0]] = share
    axes.set_ylim(0, 1.1 * max(float(columns["model"].max()), 10))
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], **columns})
