"""Accuracy against the fraction of the lattice kept, compared with percolation ([F] Fig 6).

Left: overlap of two bumps against their distance, one curve per spread (`overlap`). Then one panel
per overlap threshold, with the accuracy (`accuracy`) and, as thin lines, the share of the kept
bumps in the largest cluster of linked bumps (`mass-ratio`). Dotted: the accuracy of drawing the
nearest example, which depends on coverage alone.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from analysis.errors import NotDrawableError
from analysis.figures._grid import NULL
from analysis.measures.null_models import null_column
from analysis.plotting import axis_labels
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.notes import note, unfinished
from analysis.plotting.style import GREY, LETTERS, line_style, plain_log, title
from analysis.scaling.advantage import advantage, null_crossings
from analysis.scaling.predictions import mass_ratio_table
from analysis.scaling.thresholds import crossing
from analysis.tables.selection import alike, final, measured, over_seeds, require, single, where
from factorlab.config import Settings
from percolation import continuum

COLUMNS: Sequence[str] = (
    "key", "seed", "last", "data.sigma", "data.subsample", "data.size", "data.spacing",
    "accuracy", "ceiling",
)  # fmt: skip
AXES: Sequence[str] = ("data.sigma", "data.subsample", "seed")
NUMBERS: Sequence[str] = ("data.sigma",)

_LEVEL = 0.6


class Options(Settings):
    """Options of the figure in an experiment file."""

    thresholds: tuple[float, ...] = Field(default=(0.005, 0.05, 0.5), min_length=1, max_length=4)
    """Overlaps above which two bumps are linked; [F] uses 0.005 and 0.05."""

    realisations: int = Field(default=400, ge=1)
    """Number of realisations per percolation average."""

    seed: int = Field(default=0, ge=0)
    """Seed of the realisations."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Plot accuracy and the largest-cluster mass ratio against lambda.

    Args:
        table: One row per trial and step, with one N and one spacing. The figure shows the last
            steps of finished trials.
        options: Options of the figure.

    Raises:
        NotDrawableError: A column is missing, accuracy was not measured, a sigma is a pair, or the
            trials differ in other settings than sigma, lambda and seed.
    """
    options = options or Options()
    require(table, COLUMNS)
    alike(table, AXES)
    rows = measured(final(table))
    if rows.empty:
        raise NotDrawableError(
            "accuracy was not measured in any trial, so there is nothing to draw."
        )
    panels = _panels(rows, options)
    spacing = single(rows, "data.spacing")
    with styled():
        count = 1 + len(options.thresholds)
        figure = Figure(figsize=(2.9 * count, 3.9), layout="constrained")
        first, *others = figure.subplots(1, count)
        _draw_overlap(first, panels["overlap"], options.thresholds, spacing)
        title(first, "a", "Overlap of two bumps")
        for letter, axes, threshold in zip(LETTERS[1:], others, options.thresholds, strict=False):
            _draw_threshold(axes, panels, threshold)
            title(axes, letter, f"linked above {threshold:g}")
            axes.sharey(others[0])
        others[0].set_ylabel("Accuracy; largest cluster (%)")
        handles, labels = others[0].get_legend_handles_labels()
        across = min(len(labels), 3 * count)
        figure.legend(handles, labels, loc="outside upper center", ncols=across)
        text = (
            "Symbols: accuracy, mean and standard deviation over seeds. Thin lines: share of the "
            "kept bumps in the largest cluster of linked bumps, simulated. Panel a: lattice "
            "increment (dashed) and thresholds (dotted). Ceiling of the label reader: "
            f"{100 * rows['ceiling'].min():.0f} to {100 * rows['ceiling'].max():.0f} %."
        )
        note(figure, [text, *_advantages(rows), *unfinished(table)])
    return Drawing(figure=figure, panels=panels)


def _panels(rows: pd.DataFrame, options: Options) -> dict[str, pd.DataFrame]:
    """Return the data of all panels."""
    size, spacing = single(rows, "data.size"), single(rows, "data.spacing")
    assert isinstance(size, float)
    pairs = [sigma for sigma in rows["data.sigma"] if isinstance(sigma, tuple)]
    if pairs:
        raise NotDrawableError(
            f"data.sigma is {pairs[0]} in a trial, but percolation needs round bumps."
        )
    sigmas = sorted(rows["data.sigma"].unique())
    distances = np.geomspace(0.1, size / 2, 200)
    overlap = [
        pd.DataFrame({"sigma": s, "distance": distances, "overlap": continuum(distances, s)})
        for s in sigmas
    ]
    ratios = [
        mass_ratio_table(
            [int(size)],
            spacing=spacing,
            sigma=sigma,
            thresholds=options.thresholds,
            smallest=float(rows["data.subsample"].min()),
            realisations=options.realisations,
            seed=options.seed,
        ).assign(sigma=sigma)
        for sigma in sigmas
    ]
    keys = ["data.sigma", "data.subsample"]
    if null_column("accuracy", "nearest") in rows:
        rows = rows.assign(null=rows[null_column("accuracy", "nearest")])
    accuracy = over_seeds(rows.sort_values(keys, kind="stable"), keys)
    return {
        "overlap": pd.concat(overlap, ignore_index=True),
        "accuracy": accuracy.rename(columns=lambda name: name.removeprefix("data.")),
        "mass-ratio": pd.concat(ratios, ignore_index=True),
    }


def _advantages(rows: pd.DataFrame) -> list[str]:
    """Return a sentence on how many times fewer examples are needed than by the null model."""
    if "samples_2d" not in rows:
        return []
    found = []
    for sigma, trials in rows.groupby("data.sigma"):
        measured_at = crossing(trials["samples_2d"], trials["accuracy"], level=_LEVEL)
        null = null_crossings(trials, _LEVEL)
        if measured_at.value is not None and null:
            ratio, low, high = advantage(measured_at, next(iter(null.values())))
            found.append(f"{ratio:.1f} [{low:.1f}, {high:.1f}] at σ = {sigma:g}")
    if not found:
        return []
    return [
        f"Times fewer examples to {100 * _LEVEL:.0f} % than by drawing the nearest one (95 % "
        f"interval): {', '.join(found)}."
    ]


def _draw_overlap(
    axes: Axes, overlap: pd.DataFrame, thresholds: Sequence[float], spacing: object
) -> None:
    for i, (_, curve) in enumerate(overlap.groupby("sigma")):
        axes.plot(curve["distance"], curve["overlap"], color=line_style(i)[0])
    for threshold in thresholds:
        axes.axhline(threshold, color=GREY, ls=":", lw=0.8, zorder=0)
    for d in np.unique(np.atleast_1d(np.asarray(spacing, dtype=float))):
        axes.axvline(d, color=GREY, ls="--", lw=0.8, zorder=0)
    axes.set(
        xscale="log", yscale="log", ylim=(2e-3, 1.3), xlabel="Distance of the centres (pixels)"
    )
    plain_log(axes.xaxis)
    plain_log(axes.yaxis)


def _draw_threshold(axes: Axes, panels: dict[str, pd.DataFrame], threshold: float) -> None:
    for i, (sigma, mean) in enumerate(panels["accuracy"].groupby("sigma")):
        colour, marker = line_style(i)
        ratio = where(panels["mass-ratio"], sigma=sigma, threshold=threshold)
        axes.plot(ratio["subsample"], 100 * ratio["mass_ratio"], color=colour, lw=0.9)
        axes.errorbar(
            mean["subsample"], 100 * mean["mean"], 100 * mean["std"].fillna(0), color=colour,
            marker=marker, ls="", capsize=2, elinewidth=0.8, label=f"σ = {sigma:g}",
        )  # fmt: skip
    if "null" in panels["accuracy"]:  # it does not depend on sigma
        null = panels["accuracy"].groupby("subsample")["null"].mean()
        axes.plot(null.index, 100 * null, color=GREY, ls=":", lw=1.3, label=NULL, zorder=0)
    axes.set(xscale="log", ylim=(-4, 104), xlabel=axis_labels.setting("data.subsample"))
    axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
