"""`factorlab compare`: two sweeps side by side, from their records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.errors import UserError, suggestion
from factorlab.formatting import listed, shortened
from factorlab.parsing import flatten
from factorlab.storage.files import DamagedFile, reason_of
from sweeps.planning import saved_plans
from sweeps.planning.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.comparison import SweepComparison

METRIC = "accuracy"
"""Metric that is compared by default."""

FACTS = ("device", "numerics", "code")
"""Where and by which code runs were trained, listed if it differs: the device, the version of the
numerics, and the git commit or else the digest of the source files."""


@dataclass(frozen=True)
class Comparison:
    """Two sweeps, what differs between them, and a summary in words."""

    name_a: str
    name_b: str
    found: SweepComparison
    facts: dict[str, tuple[list[str], list[str]]]
    """Values of `FACTS` that are not the same in both sweeps, by name."""

    same_records: bool
    """Whether both sweeps read the records of one runs folder."""

    @property
    def summary(self) -> str:
        """The result in a few sentences; A and B are the first and the second sweep."""
        return " ".join(filter(None, [_difference(self), _identity(self), _remainder(self)]))


def compare(
    a: str, b: str, *, runs: Path, runs_b: Path | None = None, metric: str = METRIC
) -> Comparison:
    """Compare two sweeps; a difference is that of the second less the first.

    Args:
        a: Name of an experiment, or full name of a sweep.
        b: Another one, or the same in another runs folder.
        runs: Folder of the records of `a`.
        runs_b: Folder of the records of `b`; by default the same.
        metric: Metric of the last evaluation.

    Raises:
        UserError: There is no such sweep, both are the same, or no run has the metric.
    """
    from analysis.statistics import comparison  # noqa: PLC0415 - pandas and scipy: a second

    one, other = saved_plans.find(runs, a), saved_plans.find(runs_b or runs, b)
    alone = one.runs.resolve() == other.runs.resolve()
    if alone and one.sweep == other.sweep:
        raise UserError(
            f"{runs}: '{a}' and '{b}' are both {one.sweep}; allowed: the full names of two sweeps, "
            "or another runs folder for the second"
        )
    tables = (_planned(one), _planned(other))
    _check_metric(tables, metric, (one, other))
    facts = {}
    for name in FACTS:
        values = [sorted({*table[name].dropna().astype(str)}) for table in tables]
        if values[0] != values[1]:
            facts[name] = (values[0], values[1])
    swept = {*one.axes, *other.axes}
    names = [one.sweep, other.sweep]
    if names[0] == names[1]:
        names = [f"{plan.sweep} in {plan.runs}" for plan in (one, other)]
    found = comparison.compare(tables[0], tables[1], swept, metric)
    return Comparison(names[0], names[1], found, facts, alone)


def _planned(plan: Plan) -> pd.DataFrame:
    """Return one row per planned run: its settings, its state and, if finished, its results."""
    import pandas as pd  # noqa: PLC0415

    from analysis.tables.loading import trials_table  # noqa: PLC0415

    settings = [
        {"key": t.key, "state": "new", **flatten(t.settings), **_facts(plan, t.key)}
        for t in plan.trials
    ]
    for row in settings:
        row.pop("device", None)  # the setting; a result names the hardware
    planned = pd.DataFrame(settings, columns=None if settings else ["key", "state", "seed"])
    results = trials_table(plan.runs, plan.keys)
    if results.empty:
        return planned.reindex(columns=[*dict.fromkeys([*planned.columns, *FACTS])])
    kept = [c for c in results.columns if c == "key" or c not in planned.columns]
    joined = planned.merge(results[[*kept, "state"]], on="key", how="left", suffixes=("", "_now"))
    joined["state"] = joined.pop("state_now").fillna("new")
    return joined.reindex(columns=[*dict.fromkeys([*joined.columns, *FACTS])])


def _facts(plan: Plan, key: str) -> dict[str, Any]:
    """Return by which code a run was trained, as far as its record is intact."""
    record = plan.record_of(key)
    try:
        config, entries = record.config() or {}, record.code()
    except (DamagedFile, OSError) as error:
        reason_of(error)
        return {}
    last = entries[-1] if entries else {}
    commit, digest = last.get("revision"), last.get("sources_sha256")
    code = commit[:12] if commit else f"sources {digest[:12]}" if digest else None
    return {"numerics": config.get("numerics"), "code": code}


def _check_metric(
    tables: tuple[pd.DataFrame, pd.DataFrame], metric: str, plans: tuple[Plan, Plan]
) -> None:
    """Check that some finished run of each sweep has the metric.

    Raises:
        UserError: None has.
    """
    for table, plan in zip(tables, plans, strict=True):
        done = table[table["state"] == "done"]
        if done.empty:
            raise UserError(f"{plan.runs}: no trial of '{plan.sweep}' is done; nothing to compare")
        known = [c for c in done.columns if _is_metric(c, done)]
        if metric not in known:
            raise UserError(
                f"metric = '{metric}': no finished trial of '{plan.sweep}' has it; allowed: "
                f"{listed(known)}{suggestion(metric, known)}"
            )


_COUNTS = ("samples_", "lattice_labels", "labels", "parameters", "steps", "null_", "seed")
"""Beginnings of columns with numbers that follow from the settings."""


def _is_metric(column: str, done: pd.DataFrame) -> bool:
    plain = "." not in column and column not in FACTS
    plain = plain and (column.startswith("seconds_") or not column.startswith(_COUNTS))
    return plain and done[column].dtype.kind in "fi" and bool(done[column].notna().any())


def amount(metric: str, value: float, *, signed: bool = False) -> str:
    """Return a value of a metric: shares in per cent, and infinite ends in words."""
    if not math.isfinite(value):
        return "?"
    if is_share(metric):
        return f"{100 * value:{'+' if signed else ''}.1f}"
    return f"{value:{'+' if signed else ''}.4g}"


def is_share(metric: str) -> bool:
    """Return whether a metric is shown in per cent."""
    return metric.startswith(("accuracy", "ceiling", "share_", "failure_"))


def unit(metric: str) -> str:
    """Return the unit of differences of a metric, with a space before it."""
    return " points" if is_share(metric) else ""


def interval(metric: str, low: float, high: float) -> str:
    """Return a 95 % interval, or a dash if there are too few runs for one."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "-"
    return f"[{amount(metric, low, signed=True)}, {amount(metric, high, signed=True)}]"


def _difference(compared: Comparison) -> str:
    """Return what the pairs say."""
    found, metric = compared.found, compared.found.metric
    if found.obstacle:
        return (
            f"No runs match: {found.obstacle} is swept and has no value in common, which leaves "
            "several runs for one cell."
        )
    if found.overall is None or found.test is None:
        if len(found.cells):
            return (
                f"The sweeps have no seed in common; {len(found.cells)} cells are compared as "
                "groups of runs, without a test over pairs."
            )
        return "No finished runs match."
    test, overall = found.test, found.overall
    cells = f" in {len(found.cells)} cells" if len(found.cells) > 1 else ""
    if found.pairs["difference"].eq(0).all():
        return f"{metric} is equal in all {test.pairs} pairs{cells}."
    ends = interval(metric, overall.low, overall.high)
    ends = "no interval, since there is one block" if ends == "-" else f"95 % interval {ends}"
    least = 1.0 if test.blocks == 1 else 2.0 ** (1 - test.blocks)
    blocks = "1 block" if test.blocks == 1 else f"{test.blocks} blocks"
    return (
        f"{metric}, B less A: {amount(metric, overall.value, signed=True)}{unit(metric)} ({ends}) "
        f"over {test.pairs} pairs{cells}; B is higher in {test.better}; permutation test over "
        f"{blocks}: p = {test.p_value:.2g}, where {least:.2g} is the least."
    )


def _identity(compared: Comparison) -> str:
    """Return whether runs with the same key are bit-identical."""
    pairs = compared.found.pairs
    same = pairs[pairs["same_key"].astype(bool)] if len(pairs) else pairs
    if not len(same):
        return ""
    if compared.same_records:
        return f"{len(same)} pairs share one record."
    identical = int(same["identical"].sum())
    if identical == len(same):
        return f"All {identical} pairs with the same key have bit-identical weights."
    return f"{len(same)} pairs have the same key; {identical} of them have bit-identical weights."


def _remainder(compared: Comparison) -> str:
    """Return how many runs were not compared."""
    found = compared.found
    parts = [
        f"{_runs(len(rows))} only in {name}"
        for name, rows in (("A", found.only_a), ("B", found.only_b))
        if len(rows) and not found.obstacle
    ]
    if found.unfinished:
        parts.append(f"{_runs(found.unfinished)} in both, but not finished in both")
    return f"{'; '.join(parts)}." if parts else ""


def _runs(count: int) -> str:
    return "1 run is" if count == 1 else f"{count} runs are"


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def shown_values(values: Sequence[Any]) -> str:
    """Return the values of a setting, shortened; None stands for a setting that is not set."""
    known = [value for value in values if not _missing(value)]
    if all(isinstance(value, int | float) for value in known):
        known = sorted(known)
    words = [*map(str, known), *["not set"] * (len(known) < len(values))]
    return shortened(listed(words, most=6), 60)
