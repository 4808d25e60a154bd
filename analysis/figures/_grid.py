"""Shared code of figures over arbitrary settings: rows, panels and texts."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from analysis.errors import NotDrawableError
from analysis.measures.null_models import ceiling_column, null_column
from analysis.plotting import axis_labels
from analysis.tables.selection import final, require
from factorlab.errors import suggestion
from factorlab.parsing import setting_keys

COLUMNS: Sequence[str] = ("key", "seed", "step", "last")

NULL = "nearest example"
"""Name of the null model in legends."""

_BESIDE_SETTINGS = ("step", "samples_2d", "samples_total")


def _known(key: str) -> str:
    allowed = (*_BESIDE_SETTINGS, *setting_keys())
    if key not in allowed:
        raise ValueError(
            f"'{key}' is not a setting; allowed: {', '.join(_BESIDE_SETTINGS)} or a dotted key of "
            f"a run's settings{suggestion(key, allowed)}"
        )
    return key


Setting = Annotated[str, AfterValidator(_known)]
"""A dotted key of a run's settings, `step`, `samples_2d` or `samples_total`."""


def chosen_rows(
    table: pd.DataFrame, settings: Sequence[str], metrics: Sequence[str]
) -> pd.DataFrame:
    """Select the rows to draw: all steps if the figure shows the step, else the last steps.

    Last steps are those of finished trials.

    Args:
        table: One row per trial and step.
        settings: All settings that the figure shows; may include `step`.
        metrics: Metrics that the figure shows. A selected row has at least one of them.

    Returns:
        The selected rows. A metric without a column in the table has a column of NaN.

    Raises:
        NotDrawableError: The column of a setting is missing, or no row has a metric.
    """
    require(table, settings)
    rows = table[table["step"].notna()] if "step" in settings else final(table)
    rows = rows.assign(**{metric: np.nan for metric in metrics if metric not in rows})
    rows = rows.dropna(subset=list(metrics), how="all")
    if rows.empty:
        words = ", ".join(metrics)
        raise NotDrawableError(f"{words}: not measured in any trial, so there is nothing to draw.")
    return rows


def check_count(what: str, count: int, most: int) -> None:
    """Check that the panels fit into a figure.

    Args:
        what: Plural noun for what is counted, for the message.
        count: Number of panels.
        most: Maximum number of panels.

    Raises:
        NotDrawableError: There are more panels.
    """
    if count > most:
        raise NotDrawableError(
            f"{count} {what} do not fit into a figure; allowed: up to {most}. Choose other options "
            "or fewer values of a setting."
        )


def missing(rows: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Return a sentence on the metrics that no row has, or an empty list if there are none."""
    absent = [axis_labels.metric(metric) for metric in metrics if rows[metric].isna().all()]
    return [f"Not measured: {', '.join(absent)}."] if absent else []


def null_range(rows: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Return a sentence on the null model's accuracy in the rows, or an empty list."""
    columns = [null_column(m, "nearest") for m in metrics if m.startswith("accuracy")]
    found = rows[[column for column in columns if column in rows]].to_numpy(float)
    if not np.isfinite(found).any():
        return []
    low, high = f"{100 * np.nanmin(found):.0f}", f"{100 * np.nanmax(found):.0f}"
    span = f"{high} %" if low == high else f"{low} to {high} %"
    return [f"Accuracy of drawing the nearest training example: {span}."]


def in_words(rows: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Format the values of settings in each row; empty strings if there are no settings."""
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
    """Return the values of a setting in each row for an axis: numbers and `none`, or words."""
    there = [value for value in rows[key] if not axis_labels.missing(value)]
    if there and all(isinstance(v, float | int) and not isinstance(v, bool) for v in there):
        return [axis_labels.NONE if axis_labels.missing(value) else value for value in rows[key]]
    return list(axis_labels.distinct(list(rows[key])))


def long(rows: pd.DataFrame, places: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Convert a table to long format, one row per trial, step and metric.

    Args:
        rows: One row per trial and step.
        places: Position of each row in the figure (panel, line, x, ...), with the same index.
        metrics: Columns of `rows`.

    Returns:
        The columns of `places`, `metric`, `value`, and two that belong to an accuracy: `ceiling`,
        that of the label reader, and `null`, that of the nearest training example. Rows without a
        value are dropped.
    """
    parts = []
    for metric in metrics:
        part = places.assign(metric=metric, value=rows[metric], ceiling=np.nan, null=np.nan)
        if metric.startswith("accuracy"):
            part["ceiling"] = rows.get(ceiling_column(metric), np.nan)
            part["null"] = rows.get(null_column(metric, "nearest"), np.nan)
        parts.append(part)
    return pd.concat(parts, ignore_index=True).dropna(subset="value")
