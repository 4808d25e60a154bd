"""Scaling of accuracy with the data set, and of the data set needed with N ([F] Fig 5).

Upper row, one panel per data family: accuracy against lambda (layers `accuracy` and `trials` of the
data), with the mass ratio of percolation on the same axes (`mass-ratio`) and the critical lambda of
an infinite lattice (`critical`).

Lower row: samples at which accuracy crosses the level, against N (`crossings`, `exponents`). The
left panel counts 2D examples only and includes the percolation prediction (`predictions`,
`prediction-exponents`) and the null model that draws the nearest example; above it stands how many
times fewer examples the model needs (`advantages`). The right panel counts the whole data set.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from analysis.errors import NotDrawableError
from analysis.figures.sweep._scaling import MAX_THRESHOLDS, Panels, draw_accuracies, draw_crossings
from analysis.plotting.axis_labels import FAMILIES
from analysis.plotting.figure_io import Drawing, styled
from analysis.scaling import exponents
from analysis.scaling.advantage import advantages_table, null_crossings
from analysis.scaling.predictions import (
    critical_table,
    mass_ratio_table,
    prediction_exponents_table,
    predictions_table,
)
from analysis.tables.selection import alike, final, measured, require, single
from factorlab.config import Settings

COLUMNS: Sequence[str] = ("key", "last", *exponents.COLUMNS, "data.sigma", "data.spacing")
AXES: Sequence[str] = ("data.family", "data.size", "data.subsample", "seed")
FOLLOWS = {"training.steps": "data.size", "training.batch_size": "data.family"}
NUMBERS: Sequence[str] = ("data.sigma",)


class Options(Settings):
    """Options of the figure in an experiment file."""

    level: float = Field(default=0.6, ge=0.05, le=0.95)
    """Accuracy at the crossing, and mass ratio from which a lattice counts as connected."""

    thresholds: tuple[float, ...] = Field(
        default=(0.05, 0.5), min_length=1, max_length=MAX_THRESHOLDS
    )
    """Overlaps above which percolation links two bumps. [F] uses 0.005 and 0.05; 0.5 is ours, close
    to what small images need."""

    seed: int = Field(default=0, ge=0)
    """Seed of the percolation realisations."""

    realisations: int = Field(default=400, ge=1)
    """Number of realisations per percolation average."""


def draw(table: pd.DataFrame, options: Options | None = None) -> Drawing:
    """Draw the scaling figure.

    Args:
        table: One row per trial and step, with `COLUMNS`, one sigma and one spacing. The figure
            shows the last steps of finished trials. Families, N and lambdas may be incomplete;
            the small print names what is missing.
        options: Options of the figure.

    Returns:
        The figure and the data of its layers, which the module docstring names.

    Raises:
        NotDrawableError: A column is missing, the table has no measured accuracy, sigma is a pair,
            or the trials differ in other settings than family, N, lambda and seed. The number of
            training steps may differ from N to N, and the batch size from family to family.
    """
    require(table, COLUMNS)
    options = options or Options()
    level = options.level
    alike(table, AXES, FOLLOWS)
    rows = measured(final(table))
    if rows.empty:
        raise NotDrawableError(
            "accuracy was not measured in any trial, so there is nothing to draw."
        )
    panels = _measure(rows, options) | _predict(rows, options)
    families = panels["accuracy"]["family"].nunique()
    width = max(7.4, 3.7 * families)  # inches
    unmeasured = table["key"].nunique() - len(rows)
    notes = [*_reading(panels, level), *_missing(panels, unmeasured)]
    with styled():
        figure = Figure(figsize=(width, 8.2), layout="constrained")
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.25]).flat
        draw_accuracies(upper, panels, level=level)
        draw_crossings(lower, panels, level=level)
        lower.suptitle("\n".join(_headline(panels, level)), x=0.012, ha="left", fontsize=8)
        text = "\n".join(textwrap.fill(note, int(18 * width)) for note in notes)
        figure.supxlabel(text, x=0.012, ha="left", multialignment="left", fontsize=7, color="0.25")
    return Drawing(figure=figure, panels=panels)


def _measure(rows: pd.DataFrame, options: Options) -> Panels:
    """Compute the layers from the trials."""
    crossings = exponents.measure_crossings(rows, level=options.level)
    trials = ["data.family", "data.size", "data.subsample", "seed", *exponents.COUNTS, "accuracy"]
    nulls = null_crossings(rows, options.level)
    return {
        "accuracy": exponents.accuracy_table(rows),
        "trials": rows[trials]
        .sort_values(trials)
        .rename(columns=lambda name: name.removeprefix("data.")),
        "crossings": exponents.crossings_table(crossings),
        "exponents": exponents.exponents_table(crossings),
        "advantages": advantages_table(crossings, nulls),
    }


def _predict(rows: pd.DataFrame, options: Options) -> Panels:
    """Compute the layers from percolation, for the lattices of the trials."""
    thresholds, seed, realisations = options.thresholds, options.seed, options.realisations
    sizes = sorted(int(size) for size in rows["data.size"].unique())
    sigma, spacing = single(rows, "data.sigma"), single(rows, "data.spacing")
    if not isinstance(sigma, float):
        message = f"data.sigma is {sigma}, but percolation needs round bumps."
        raise NotDrawableError(message)
    predictions = predictions_table(
        sizes,
        spacing=spacing,
        sigma=sigma,
        thresholds=thresholds,
        level=options.level,
        realisations=realisations,
        seed=seed,
    )
    ratios = mass_ratio_table(
        sizes,
        spacing=spacing,
        sigma=sigma,
        thresholds=thresholds,
        smallest=float(rows["data.subsample"].min()),
        realisations=realisations,
        seed=seed,
    )
    return {
        "mass-ratio": ratios,
        "critical": critical_table(
            spacing=spacing,
            sigma=sigma,
            thresholds=thresholds,
            realisations=max(realisations, 2),
            seed=seed,
        ),
        "predictions": predictions,
        "prediction-exponents": prediction_exponents_table(predictions),
    }


def _headline(panels: Panels, level: float) -> list[str]:
    """Return how many times fewer examples each family needs than the null model."""
    rows = panels["advantages"]
    return [
        f"{_name(row)}: {row['ratio']:.1f} [{row['low']:.1f}, {row['high']:.1f}] times fewer 2D "
        f"examples at {100 * level:g} % than by drawing the nearest one (mean over N)"
        for _, row in rows[rows["size"] == 0].iterrows()
    ]


def _reading(panels: Panels, level: float) -> list[str]:
    """Return the small print that explains the symbols."""
    low, high = 100 * panels["accuracy"]["ceiling"].min(), 100 * panels["accuracy"]["ceiling"].max()
    ceiling = f"{low:.1f} %" if np.isclose(low, high) else f"{low:.1f} to {high:.1f} %"
    return [
        "Symbols: mean and standard deviation over seeds; dots: single trials. Ceiling of the "
        f"label reader on clean images: {ceiling}. Red lines: 0, {100 * level:g} and 100 %. Thin "
        "lines: share of the kept bumps in the largest cluster of linked bumps; vertical lines: "
        "critical λ of an infinite lattice. Crossings and exponents: medians and 95 % intervals of "
        "the posterior. Nearest example: examples that a model needs that draws the nearest one. "
        "Percolation: standard errors; a crossing at 2 means that the bumps always overlap."
    ]


def _missing(panels: Panels, unmeasured: int) -> list[str]:
    """Return the small print on crossings and exponents that are missing or limited."""
    left_out: list[str] = []
    limited: list[str] = []
    named: list[str] = []
    crossings = panels["crossings"]
    counts = dict(crossings.groupby("family")["count"].min())  # in 2D examples, if there are any
    for _, row in crossings.iterrows():
        text = f"{_name(row)}, N = {row['size']} ({row['reason']})"
        # Both ways of counting have the same reason; without 2D examples there is only one.
        if row["reason"] and (row["family"], row["count"]) in counts.items():
            (left_out if pd.isna(row["value"]) else limited).append(text)
    for (_, reason), rows in panels["exponents"].groupby(["family", "reason"], sort=False):
        if reason:
            named.append(f"{_name(rows.iloc[0])} ({reason})")
    notes = {
        "No crossing": left_out,
        "Crossings": limited,
        "Exponents": named,
        "Not shown": [f"{unmeasured} trials without an accuracy"] if unmeasured else [],
    }
    return [f"{title}: {'; '.join(items)}." for title, items in notes.items() if items]


def _name(row: "pd.Series[Any]") -> str:
    return FAMILIES.get(row["family"], str(row["family"]))
