"""How claims read their table and write their numbers."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.findings import NotMeasuredError, Outcome
from analysis.plotting import axis_labels
from analysis.scaling.thresholds import Crossing
from analysis.tables import selection
from analysis.tables.selection import final

POINTS = 0.1
"""A difference of accuracies from which it counts: 10 points."""


def outcome(numbers: str, *, shown: bool) -> Outcome:
    """A claim that the numbers show or do not show."""
    return Outcome("shown" if shown else "not shown", numbers)


def measured(rows: pd.DataFrame, *metrics: str, what: str = "trial") -> pd.DataFrame:
    """Rows that have all of some metrics.

    Args:
        rows: Of a table of trials and steps.
        metrics: Columns.
        what: Which trials these are, for the message.

    Raises:
        NotMeasuredError: There is none.
    """
    absent = [m for m in metrics if m not in rows]
    found = rows if absent else rows.dropna(subset=list(metrics))
    if absent or found.empty:
        raise NotMeasuredError(f"No {what} has {', '.join(absent or metrics)}.")
    return found


def chosen(rows: pd.DataFrame, key: str, *values: object) -> pd.DataFrame:
    """Rows in which a setting has one of some values; a missing setting has none.

    Raises:
        NotMeasuredError: There is none.
    """
    found = rows[rows[key].isin(values)] if key in rows else rows.iloc[:0]
    if found.empty:
        raise NotMeasuredError(f"No trial with {key} = {' or '.join(map(str, values))}.")
    return found


def single(rows: pd.DataFrame, key: str) -> float | tuple[float, ...]:
    """The one value of a setting that all trials share.

    Raises:
        NotMeasuredError: There are several, of which no finding speaks.
    """
    try:
        return selection.single(rows, key)
    except ValueError as error:
        raise NotMeasuredError(str(error)) from None


def finished(table: pd.DataFrame) -> pd.DataFrame:
    """All steps of the trials that are finished: the courses of others have no end."""
    return table[table["key"].isin(final(table)["key"])]


def by(
    rows: pd.DataFrame, key: str, metric: str = "accuracy", *, least: int = 1
) -> "pd.Series[float]":
    """Mean of a metric over the trials of each value of a setting, in the order of the values.

    Args:
        rows: Of a table of trials and steps.
        key: A setting.
        metric: A column.
        least: Values that it takes to say anything.

    Raises:
        NotMeasuredError: Fewer values have it.
    """
    means = measured(rows, key, metric).groupby(key)[metric].mean().sort_index()
    if len(means) < least:
        found = ", ".join(axis_labels.bare(value) for value in means.index)
        raise NotMeasuredError(f"{metric} was measured for {key} = {found} alone.")
    return means


def percent(values: "pd.Series[float]") -> str:
    """The mean of shares, and between which they lie where there are several: `83 % (80-86)`."""
    low, high = 100 * values.min(), 100 * values.max()
    text = f"{100 * values.mean():.0f} %"
    return text if len(values) == 1 else f"{text} ({low:.0f}-{high:.0f})"


def listed(means: "pd.Series[float]", key: str, *, share: bool = True) -> str:
    """The values of a setting with their means: `34 % at λ = 0.1, 80 % at λ = 0.2`."""
    numbers = [f"{100 * mean:.0f} %" if share else f"{mean:.2g}" for mean in means]
    places = [axis_labels.value(key, value) for value in means.index]
    return ", ".join(f"{n} at {p}" for n, p in zip(numbers, places, strict=True))


def needed(crossing: Crossing) -> tuple[float, str]:
    """Examples at a crossing, and in words; 0 or infinity where it lies beyond what was measured.

    Returns:
        The number: 0 if fewer than the fewest measured are enough, infinity if the most are not.
    """
    if crossing.value is not None:
        return crossing.value, f"{crossing.value:.1f}"
    if crossing.reason.startswith("above"):
        return 0.0, f"under {crossing.smallest:g}"
    return math.inf, f"over {crossing.largest:g}"


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's; 0 where one of them is constant, which orders nothing."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 0.0
    return float(stats.spearmanr(np.asarray(first), np.asarray(second)).statistic)
