"""Angles of displacements, compared to four ideals ([F] Figs 3, 8).

The distributions of the two ideal tori are those of infinitely fine grids, sampled from closed
forms. The other two are those of images, pixel by pixel: sums of stripes, an additive code, and
bumps, a code of places.
Data: `angles`, the percentage of displacement pairs in each bin.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.measures.checkpoint import Floats, Measures
from analysis.measures.factorization import Angles
from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.style import LETTERS, title
from factorlab.config import DataSettings
from factorlab.data.rendering import render

_PANELS = (
    ("orthogonality", "x-on-y"),
    ("orthogonality", "x-on-x"),
    ("orthogonality", "y-on-y"),
    ("parallelism", "x-on-y"),
    ("parallelism", "y-on-x"),
    ("alignment", "x-on-x"),
    ("alignment", "y-on-y"),
)
_BINS = 40
_DRAWS = 200_000
_RANGES = {"orthogonality": (0.0, 1.0), "parallelism": (-1.0, 1.0), "alignment": (-1.0, 1.0)}

_IMAGES = {"sums of stripes\n(images)": "sos", "bumps\n(images)": "bump"}
_SIDE = 16  # of the ideal images, which are periodic, with sigma = 1
_STEP = 0.01  # of a displacement of an image, in pixels
_IMAGE_DRAWS = 10_000


def draw(measures: Measures) -> Drawing:
    """Plot the distributions of the model and of the ideals in the same bins."""
    shown = {"model": measures.angles} | _ideals() | _image_ideals()
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
    aligned = {"x-on-x": np.cos(a), "y-on-y": np.cos(a)}
    parallel = {"x-on-y": one, "y-on-x": one, "x-on-x": one, "y-on-y": one}
    return {
        "factorized ideal\n(Clifford torus)": Angles(
            orthogonality={"x-on-y": 0 * one, "x-on-x": along, "y-on-y": along},
            parallelism=parallel,
            alignment=aligned,
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
            alignment=aligned,
        ),
    }


@cache
def _image_ideals() -> dict[str, Angles]:
    """Sample the angles of clean images at random pairs of labels on a torus."""
    return {name: _angles_of_images(family) for name, family in _IMAGES.items()}


def _angles_of_images(family: str) -> Angles:
    data = DataSettings(family=family, size=_SIDE, periodic=True)
    x, y, x_other, y_other = np.random.default_rng(0).uniform(1, _SIDE + 1, (4, _IMAGE_DRAWS))

    def along(axis: int, x: Floats, y: Floats) -> Floats:
        """Return the directions in which images change along a label, shape (draws, pixels)."""
        step = _STEP * np.eye(2)[axis]
        labels = np.stack([x, y], axis=-1)
        ends = [render(torch.from_numpy(labels + way * step), data) for way in (1, -1)]
        found = (ends[0] - ends[1]).double().flatten(1).numpy()
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))

    def cosines(one: Floats, other: Floats) -> Floats:
        return np.asarray(np.einsum("ij,ij->i", one, other))

    dx, dy = along(0, x, y), along(1, x, y)
    aligned = {
        "x-on-x": cosines(dx, along(0, x_other, y)),
        "y-on-y": cosines(dy, along(1, x, y_other)),
    }
    return Angles(
        orthogonality={
            "x-on-y": np.abs(cosines(dx, along(1, x_other, y_other))),
            **{name: np.abs(values) for name, values in aligned.items()},
        },
        parallelism={
            "x-on-y": cosines(dx, along(0, x, y_other)),
            "y-on-x": cosines(dy, along(1, x_other, y)),
            "x-on-x": np.ones(_IMAGE_DRAWS),
            "y-on-y": np.ones(_IMAGE_DRAWS),
        },
        alignment=aligned,
    )


def _histogram(axes: Axes, kind: str, values: Mapping[str, Floats]) -> pd.DataFrame:
    """Plot histograms with the same bins and return their data."""
    edges = np.linspace(*_RANGES[kind], _BINS + 1)
    columns = {}
    styles = ("-", "--", ":", "-.", (0, (1, 3)))
    for (model, cosines), colour, style in zip(values.items(), COLOURS, styles, strict=False):
        inside = np.clip(cosines, edges[0], edges[-1])
        share = 100 * np.histogram(inside, edges)[0] / len(cosines)
        axes.stairs(share, edges, color=colour, ls=style, fill=style == "-", alpha=0.8, label=model)
        columns[model.partition("\n")[0].removesuffix(" ideal")] = share
    axes.set_ylim(0, 1.1 * max(float(columns["model"].max()), 10))
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], **columns})
