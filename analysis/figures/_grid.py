"""What the figures over any settings have in common: which rows, which panels, which words."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from analysis.errors import NotDrawableError
from analysis.plotting import axis_labels
from analysis.tables.selection import final, require
from factorlab.errors import suggestion
from factorlab.parsing import setting_keys

COLUMNS: Sequence[str] = ("key", "seed", "step", "last")

_BESIDE_SETTINGS = ("step", "samples_2d", "samples_total")


def _known(key: str) -> str:
    allowed = (*_BESIDE_SETTINGS, *setting_keys())
    if key not in allowed:
        raise ValueError(
            f"'{key}' is no setting; allowed: {', '.join(_BESIDE_SETTINGS)} or a dotted key of a "
            f"run's settings{suggestion(key, allowed)}"
        )
    return key


Setting = Annotated[str, AfterValidator(_known)]
"""A dotted key of a run's settings, the step, or a number of examples."""


def chosen_rows(
    table: pd.DataFrame, settings: Sequence[str], metrics: Sequence[str]
) -> pd.DataFrame:
    """Rows to draw: every step where the step is asked for, else the last of finished trials.

    Args:
        table: One row for each trial and step.
        settings: All that the figure shows, or `step`.
        metrics: At least one of which a row must have; the column of one that no trial has is
            empty.

    Raises:
        NotDrawableError: The column of a setting is missing, or no row has a metric.
    """
    require(table, settings)
    rows = table[table["step"].notna()] if "step" in settings else final(table)
    rows = rows.assign(**{metric: np.nan for metric in metrics if metric not in rows})
    rows = rows.dropna(subset=list(metrics), how="all")
    if rows.empty:
        words = ", ".join(metrics)
        raise NotDrawableError(f"{words}: measured in no trial, so nothing can be drawn.")
    return rows


def check_count(what: str, count: int, most: int) -> None:
    """Refuse more panels than a page holds.

    Raises:
        NotDrawableError: There are more.
    """
    if count > most:
        raise NotDrawableError(
            f"{count} {what} do not fit into a figure; allowed: up to {most}. Other options, or "
            "fewer values of a setting, make fewer."
        )


def missing(rows: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Name the metrics that no row has; nothing where all are there."""
    absent = [axis_labels.metric(metric) for metric in metrics if rows[metric].isna().all()]
    return [f"Not measured: {', '.join(absent)}."] if absent else []


def in_words(rows: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """The values of some settings in each row, in words; empty where there are no settings."""
    if not keys:
        return [""] * len(rows)
    contents = list(zip(*(rows[key] for key in keys), strict=True))
    short = [axis_labels.combination(keys, row) for row in contents]
    kinds = {
        str([None if axis_labels.missing(value) else value for value in row]) for row in contents
    }
    if len(set(short)) >= len(kinds):
        return short
    return [axis_labels.combination(keys, row, full=True) for row in contents]


def on_axis(rows: pd.DataFrame, key: str) -> list[object]:
    """The values of a setting in each row as an axis has them: numbers and `none`, or words."""
    there = [value for value in rows[key] if not axis_labels.missing(value)]
    if there and all(isinstance(v, float | int) and not isinstance(v, bool) for v in there):
        return [axis_labels.NONE if axis_labels.missing(value) else value for value in rows[key]]
    return list(axis_labels.distinct(list(rows[key])))


def long(rows: pd.DataFrame, places: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """One row for each row and metric: its places, `metric`, `value` and the `ceiling` over it.

    Args:
        rows: One row for each trial and step.
        places: Where each of them goes, with the same index.
        metrics: Columns of `rows`.
    """
    parts = []
    for metric in metrics:
        ceiling = metric.replace("accuracy", "ceiling")
        above = rows[ceiling] if ceiling != metric and ceiling in rows else None
        parts.append(places.assign(metric=metric, value=rows[metric], ceiling=above))
    return pd.concat(parts, ignore_index=True).dropna(subset="value")
