"""Checks and selections on tables of trials."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.errors import NotDrawableError
from analysis.plotting.axis_labels import NONE, missing
from factorlab.data.dataset import Dataset
from factorlab.formatting import listed


def require(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Check that a table has certain columns.

    Args:
        table: A table of trials.
        columns: Names of the required columns.

    Raises:
        NotDrawableError: A column is missing.
    """
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise NotDrawableError(
            f"The table of trials lacks {listed(absent)}; it has "
            f"{listed(table.columns) or 'no columns'}."
        )


def labels_of(data: Dataset) -> pd.DataFrame:
    """Return the training labels: columns `x`, `y` in pixels and `kind`, `2D` or `stripe`."""
    kinds = np.repeat(["2D", "stripe"], [data.samples_2d, len(data.stripes)])
    return pd.DataFrame(data.labels, columns=["x", "y"]).assign(kind=kinds)


def final(table: pd.DataFrame) -> pd.DataFrame:
    """Select the last evaluation of each finished trial.

    Args:
        table: One row per trial and step.

    Raises:
        NotDrawableError: The column `last` is missing.
    """
    require(table, ["last"])
    return table[table["last"].astype(bool)]


def measured(table: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """Select the rows in which a metric with values in [0, 1] was measured.

    Args:
        table: One row per finished trial.
        metric: Column with values in [0, 1]; NaN marks a trial that did not measure the metric.

    Returns:
        The rows without NaN, in the same order.

    Raises:
        NotDrawableError: The column is missing, or holds a value outside [0, 1].
    """
    require(table, [metric])
    rows = table[table[metric].notna()]
    outside = rows[metric][(rows[metric] < 0) | (rows[metric] > 1)]
    if len(outside):
        raise NotDrawableError(f"{metric} is {outside.iloc[0]}, but a share must lie in [0, 1].")
    return rows


def over_seeds(rows: pd.DataFrame, keys: Sequence[str], value: str = "accuracy") -> pd.DataFrame:
    """Average rows with equal values in some columns.

    Args:
        rows: One row per trial, or per trial and step, with a column `ceiling`, and perhaps `null`.
        keys: Columns that identify a group of rows.
        value: Column to average.

    Returns:
        One row per group, in order of first appearance, with the columns of `keys`, `trials`,
        `mean`, `std` (NaN for one trial) and the means of `ceiling` and `null`.
    """
    grouped = rows.groupby(list(keys), sort=False)
    beside = {name: (name, "mean") for name in ("ceiling", "null") if name in rows}
    return grouped.agg(
        trials=(value, "size"), mean=(value, "mean"), std=(value, "std"), **beside
    ).reset_index()


def alike(
    table: pd.DataFrame, varying: Iterable[str], follows: Mapping[str, str] | None = None
) -> None:
    """Check that trials differ only in the settings that may vary.

    Averages over seeds and fits are meaningful only for trials that are otherwise equal.

    Args:
        table: One row per trial; settings are the columns with a dot in their name.
        varying: Settings that may differ between trials.
        follows: Settings that may differ if one of the former does, such as more training steps for
            larger images.

    Raises:
        NotDrawableError: Another setting differs.
    """
    tied = {
        key
        for key, lead in (follows or {}).items()
        if key in table and table.groupby(lead)[key].nunique(dropna=False).max() == 1
    }
    allowed = set(varying) | tied
    for column in table.columns:
        if "." in str(column) and column not in allowed:
            values = sorted(set(table[column].map(lambda v: NONE if missing(v) else str(v))))
            if len(values) > 1:
                raise NotDrawableError(
                    f"{column} differs between trials ({listed(values)}); only "
                    f"{', '.join(sorted(allowed))} may differ."
                )


def single(table: pd.DataFrame, column: str) -> float | tuple[float, ...]:
    """Return the single value of a column of numbers, or of pairs of numbers.

    Args:
        table: One row per finished trial, at least one.
        column: Name of the column.

    Returns:
        The number, or the pair as a tuple.

    Raises:
        NotDrawableError: The column is missing, or does not hold exactly one distinct value.
    """
    require(table, [column])
    values = sorted({tuple(np.atleast_1d(value).tolist()) for value in table[column]})
    if len(values) != 1:
        shown = listed(value[0] if len(value) == 1 else value for value in values)
        raise NotDrawableError(
            f"{column} holds {len(values)} values ({shown}), but the figure needs a single value "
            "for all trials."
        )
    value = values[0]
    return float(value[0]) if len(value) == 1 else tuple(map(float, value))


def where(table: pd.DataFrame, **equal: object) -> pd.DataFrame:
    """Select the rows in which the named columns have the given values, which may be tuples."""
    keep = np.ones(len(table), dtype=bool)
    for column, value in equal.items():
        keep &= np.array([one == value for one in table[column]], dtype=bool)
    return table[keep]
