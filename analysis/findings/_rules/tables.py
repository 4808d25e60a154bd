"""Helpers of the claims: select rows of a table, and format numbers."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.findings import NotMeasuredError
from analysis.plotting import axis_labels
from analysis.scaling.thresholds import Crossing
from analysis.tables import selection
from analysis.tables.selection import final

POINTS = 0.1
"""Least difference of accuracies that counts: 10 percentage points."""

LEVEL = 0.6
"""Accuracy from which something is learned, as in [F] Fig. 5c."""

NEAREST = "drawing the nearest training example"
IMAGE = "the clean images at the layer's resolution, and the untrained network"
CONSTANT = "accuracies and images that do not change in training, such as copies of the examples"
"""Null models."""


def first_step(curve: "pd.Series[float]") -> float:
    """Return the interpolated step at which a curve first reaches 60 %.

    Args:
        curve: Values by step, sorted.

    Returns:
        The step; NaN if the curve starts above the level, infinite if it never reaches it.
    """
    steps, values = curve.index.to_numpy(dtype=float), curve.to_numpy(dtype=float)
    reached = np.flatnonzero(values >= LEVEL)
    if len(reached) == 0:
        return math.inf
    if reached[0] == 0:
        return math.nan
    part = slice(int(reached[0]) - 1, int(reached[0]) + 1)
    return float(np.interp(LEVEL, values[part], steps[part]))


def measured(rows: pd.DataFrame, *metrics: str, what: str = "trial") -> pd.DataFrame:
    """Select the rows that have all of the given metrics.

    Args:
        rows: Rows of a table of trials and steps.
        metrics: Columns that must not be NaN.
        what: Noun for the rows, for the message.

    Raises:
        NotMeasuredError: There is no such row.
    """
    absent = [m for m in metrics if m not in rows]
    found = rows if absent else rows.dropna(subset=list(metrics))
    if absent or found.empty:
        raise NotMeasuredError(f"No {what} has {', '.join(absent or metrics)}.")
    return found


def chosen(rows: pd.DataFrame, key: str, *values: object) -> pd.DataFrame:
    """Select the rows in which a setting has one of the given values.

    Raises:
        NotMeasuredError: There is no such row, or the table lacks the setting.
    """
    found = rows[rows[key].isin(values)] if key in rows else rows.iloc[:0]
    if found.empty:
        raise NotMeasuredError(f"No trial with {key} = {' or '.join(map(str, values))}.")
    return found


def single(rows: pd.DataFrame, key: str) -> float | tuple[float, ...]:
    """Return the single value of a setting that all trials share.

    Raises:
        NotMeasuredError: The setting is missing or has several values, which no claim covers.
    """
    try:
        return selection.single(rows, key)
    except ValueError as error:
        raise NotMeasuredError(str(error)) from None


def finished(table: pd.DataFrame) -> pd.DataFrame:
    """Select all steps of finished trials."""
    return table[table["key"].isin(final(table)["key"])]


def by(
    rows: pd.DataFrame, key: str, metric: str = "accuracy", *, least: int = 1
) -> "pd.Series[float]":
    """Average a metric over the trials of each value of a setting, sorted by the values.

    Args:
        rows: Rows of a table of trials and steps.
        key: The setting.
        metric: Column of the metric.
        least: Minimum number of values of the setting with the metric.

    Raises:
        NotMeasuredError: Fewer than `least` values of the setting have the metric.
    """
    means = measured(rows, key, metric).groupby(key)[metric].mean().sort_index()
    if len(means) < least:
        found = ", ".join(axis_labels.bare(value) for value in means.index)
        raise NotMeasuredError(f"{metric} was measured only for {key} = {found}.")
    return means


def listed(means: "pd.Series[float]", key: str, *, share: bool = True) -> str:
    """Format the mean at each value of a setting: `34 % at λ = 0.1, 80 % at λ = 0.2`."""
    numbers = [f"{100 * mean:.0f} %" if share else f"{mean:.2g}" for mean in means]
    places = [axis_labels.value(key, value) for value in means.index]
    return ", ".join(f"{n} at {p}" for n, p in zip(numbers, places, strict=True))


def needed(crossing: Crossing) -> tuple[float, str]:
    """Return the number of examples at a crossing, as a number and as text with its interval.

    Returns:
        The number is 0 if the curve is above the level from the smallest measured number on, and
        infinity if it is below the level up to the largest.
    """
    if crossing.value is not None:
        low, high = (
            "..." if end is None else f"{end:.1f}" for end in (crossing.low, crossing.high)
        )
        return crossing.value, f"{crossing.value:.1f} [{low}, {high}]"
    if crossing.side == "below":
        return 0.0, f"under {crossing.smallest:g}"
    return math.inf, f"over {crossing.largest:g}"


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Compute Spearman's rank correlation; 0 if one of the sequences is constant."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 0.0
    return float(stats.spearmanr(np.asarray(first), np.asarray(second)).statistic)
