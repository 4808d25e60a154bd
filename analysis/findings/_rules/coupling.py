"""Whether two quantities of a run go together beyond what all runs have in common.

Curves that grow in training correlate, whatever they measure. So a correlation within runs counts
only as far as it exceeds that of one run's curve with another run's.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.findings import NotMeasuredError
from analysis.findings._rules.tables import rank_correlation

UNRELATED = "the same curves taken from different runs of equal settings"
"""Null model: what grows in training correlates even between runs."""


def excess_correlations(
    rows: pd.DataFrame, first: str, second: str, *, within: "pd.Series[float]", rank: bool
) -> tuple[list[float], list[float]]:
    """Return how two columns correlate over the steps of each run, and by how much more than mixed.

    Args:
        rows: One row per run and step, with `key` and `step`.
        first: Column of the one curve.
        second: Column of the other curve.
        within: Value of each row by which runs are grouped; curves are mixed within a group.
        rank: Whether to correlate ranks (Spearman) in place of values (Pearson).

    Returns:
        The correlation of the curves of each run, and its excess over the mean of those with the
        second curve of each other run of the group.

    Raises:
        NotMeasuredError: No group has two runs in which both curves change at common steps.
    """
    own: list[float] = []
    excess: list[float] = []
    for _, group in rows.groupby(within):
        one, other = (
            group.pivot_table(column, "step", "key").dropna() for column in (first, second)
        )
        steps = one.index.intersection(other.index)
        table = _correlations(one.loc[steps].to_numpy(), other.loc[steps].to_numpy(), rank=rank)
        for i, row in enumerate(table):
            mixed = np.delete(row, i)
            if len(mixed) and math.isfinite(row[i]) and np.isfinite(mixed).all():
                own.append(float(row[i]))
                excess.append(float(row[i] - mixed.mean()))
    if not own:
        raise NotMeasuredError(
            "No two runs of equal settings in which both curves change at three steps or more."
        )
    return own, excess


def _correlations(
    one: NDArray[np.float64], other: NDArray[np.float64], *, rank: bool
) -> NDArray[np.float64]:
    """Return the correlation of each column with each, NaN where one does not change.

    Args:
        one: First curves, shape (steps, runs).
        other: Second curves, shape (steps, runs).
        rank: Whether to correlate ranks.
    """
    found = np.full((one.shape[1], other.shape[1]), np.nan)
    if len(one) < 3:
        return found
    for i, x in enumerate(one.T):
        for j, y in enumerate(other.T):
            if x.std() and y.std():
                found[i, j] = (
                    rank_correlation(list(x), list(y)) if rank else np.corrcoef(x, y)[0, 1]
                )
    return found
