"""The table of runs: one column per setting, metric, null model and duration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.plotting import axis_labels
from sweeps.planning.plan import Plan
from sweeps.reporting.html_report.runs import ReportedRun

DIGITS = 5
"""Significant digits of numbers on the page. The records have all of them."""

Value = float | int | str | None
Group = Literal["run", "settings", "data set", "metrics", "null models", "seconds"]

_COUNTS = ("samples_2d", "samples_total", "lattice_labels")
_LEFT_OUT = ("key", "record", "state", "last", "name")
"""Columns of the table of evaluations that are no values, or have a column of their own."""

_SHOWN_METRICS = (
    "accuracy",
    "accuracy_in_distribution",
    "accuracy_out_of_distribution",
    "null_nearest",
    "null_composed",
)
"""Metrics that the table shows at first, if the runs have them."""


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    id: str
    """Dotted key of a setting, name of a metric, or a name such as `state`."""

    label: str
    """What it is, with its unit."""

    group: Group

    values: list[Value]
    """One value per run; None where a run has none."""

    shown: bool = False
    """Whether the table shows it at first."""

    swept: bool = False
    """Whether it is a setting that the sweep varies."""

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        known = [value for value in self.values if value is not None]
        return bool(known) and not any(isinstance(value, str) for value in known)

    @property
    def constant(self) -> bool:
        """Whether all runs have the same value."""
        return len(set(self.values)) <= 1

    def plain(self) -> dict[str, Any]:
        """Return the column as plain values."""
        return {
            "id": self.id,
            "label": self.label,
            "group": self.group,
            "numeric": self.numeric,
            "shown": self.shown,
            "swept": self.swept,
            "values": self.values[:1] if self.constant else self.values,
        }


def rounded(value: object) -> Value:
    """Return a value as JSON has it: numbers with `DIGITS` significant digits, else a text.

    Missing and infinite numbers are None.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if axis_labels.missing(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, tuple | list):
        return "x".join(str(rounded(part)) for part in value) or axis_labels.NONE
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(number: float) -> float | int | None:
    if not math.isfinite(number):
        return None
    short = float(f"{number:.{DIGITS}g}")
    if not math.isfinite(short):  # rounded up beyond the largest number
        return number
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def latest(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the latest evaluation of each run, by key.

    Args:
        rows: One row per trial and step; see `analysis.tables.loading.steps_table`.
    """
    if "step" in rows:
        rows = rows.sort_values("step", kind="stable", na_position="first")
    return {str(row["key"]): {str(k): v for k, v in row.items()} for row in rows.to_dict("records")}


def columns_of(plan: Plan, runs: Sequence[ReportedRun], rows: pd.DataFrame) -> list[Column]:
    """Return the columns of the table, those that the table shows at first in their order.

    Args:
        plan: Plan of the sweep.
        runs: Its runs.
        rows: One row per trial and step; see `analysis.tables.loading.steps_table`.
    """
    evaluated = latest(rows)
    by_run = [evaluated.get(run.trial.key, {}) for run in runs]
    names = [str(name) for name in rows.columns if name not in _LEFT_OUT]
    values = {name: [rounded(row.get(name)) for row in by_run] for name in names}
    values = {name: found for name, found in values.items() if any(v is not None for v in found)}
    shown = _shown(plan, values)
    swept = set(plan.axes)
    rest = [name for name in values if name not in shown]
    found = [
        Column(name, _label(name), _group(name), values[name], name in shown, name in swept)
        for name in (*shown, *rest)
    ]
    return [*_about(runs), *found, *_durations(runs)]


def _about(runs: Sequence[ReportedRun]) -> list[Column]:
    """Return the columns that name a run."""
    return [
        Column("name", "Run", "run", [run.trial.name for run in runs]),
        Column("state", "State", "run", [run.state for run in runs], shown=True),
        Column("key", "Key", "run", [run.record.key[:12] for run in runs]),
    ]


def _shown(plan: Plan, values: Mapping[str, Sequence[Value]]) -> list[str]:
    """Return the names of the columns that the table shows at first: swept settings, metrics."""
    varying = [key for key in plan.axes if key in values and len(set(values[key])) > 1]
    followers = [key for key in plan.tied if key in values and len(set(values[key])) > 1]
    parts = [plan.search, plan.scheduler]
    chosen = [part.metric for part in parts if part is not None]
    wanted = [*varying, *followers, *chosen, *_SHOWN_METRICS]
    return [name for name in dict.fromkeys(wanted) if name in values]


def _group(name: str) -> Group:
    plain = name.rpartition("/")[2]
    if plain.startswith("null_"):
        return "null models"
    if name in _COUNTS or name == "labels" or name.startswith("labels_"):
        return "data set"
    return "settings" if "." in name or name in ("seed", "device") else "metrics"


def _label(name: str) -> str:
    """Return what a column is. Shares are numbers from 0 to 1 here, so that filters are plain."""
    if _group(name) == "settings" or name in (*_COUNTS, "step"):
        return axis_labels.setting(name)
    return axis_labels.metric(name).replace(" (%)", " (share)")


def _durations(runs: Sequence[ReportedRun]) -> list[Column]:
    """Return the columns of seconds: the sum, then one for each phase of a run."""
    phases: Iterable[str] = dict.fromkeys(
        phase for run in runs if run.result is not None for phase in run.result["seconds"]
    )
    found = [
        Column(
            f"seconds_{phase}",
            f"Duration, {phase} (s)",
            "seconds",
            [
                None if run.result is None else rounded(run.result["seconds"].get(phase))
                for run in runs
            ],
        )
        for phase in phases
    ]
    total = [rounded(run.seconds) for run in runs]
    if any(value is not None for value in total):
        found.insert(0, Column("seconds", "Duration (s)", "seconds", total, shown=True))
    return found
