"""The evaluations of each run over the optimizer steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweeps.reporting.html_report.columns import rounded
from sweeps.reporting.html_report.runs import ReportedRun

MOST_NUMBERS = 150_000
"""Maximum number of values of all curves; with more, steps are left out evenly."""

_LOSSES = ("train_loss", "validation_loss")
_PARTS = ("accuracy_half_pixel",)
"""Beginnings of accuracies without a curve."""


def _metrics(rows: pd.DataFrame) -> list[str]:
    """Return the metrics that have a curve."""
    accuracies = [
        str(name)
        for name in rows.columns
        if str(name).partition("_")[0] == "accuracy" and not str(name).startswith(_PARTS)
    ]
    return [*accuracies, *(name for name in _LOSSES if name in rows)]


def curves_of(runs: Sequence[ReportedRun], rows: pd.DataFrame) -> list[dict[str, Any] | None]:
    """Return the curves of each run: `step`, and the values of each metric at these steps.

    Args:
        runs: The runs of a sweep.
        rows: One row per trial and step; see `analysis.tables.loading.steps_table`.
    """
    if "step" not in rows:
        return [None] * len(runs)
    metrics = _metrics(rows)
    most = max(2, MOST_NUMBERS // max(1, len(metrics) * len(runs)))
    evaluated = rows.loc[rows["step"].notna(), ["key", "step", *metrics]]
    evaluated = evaluated.sort_values("step", kind="stable")
    by_key = dict(iter(evaluated.groupby("key", sort=False)))
    return [_curve(by_key.get(run.trial.key), metrics, most) for run in runs]


def _curve(rows: pd.DataFrame | None, metrics: Sequence[str], most: int) -> dict[str, Any] | None:
    """Return the curves of one run, at no more than `most` steps; the first and last are kept."""
    if rows is None:
        return None
    places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
    kept = rows.iloc[places]
    values = {name: [rounded(value) for value in kept[name]] for name in metrics}
    known = {name: v for name, v in values.items() if any(one is not None for one in v)}
    return {"step": [int(step) for step in kept["step"]], **known}
