"""Compare two sweeps: which settings differ, which runs match, and by how much their results do.

Runs match if they agree in all swept settings that have a value in both sweeps, and in the seed. A
*cell* is one combination of these settings; its pairs are the matching runs of its seeds. Without a
common seed, the runs of a cell are compared as two groups.

The interval of an accuracy in a cell is that of `analysis.statistics.cell_means`, the wider of a
posterior and of Student's t over the pairs; of other metrics it is Student's t. The mean over all
pairs has Student's t over blocks, which are the pairs with one seed and one N: they share weights
and examples (`analysis.statistics.paired`), and the permutation test swaps them together. The rules
are our choice.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.cell_means import CellMeans
from analysis.statistics.estimate import Estimate, of_difference, of_mean
from analysis.statistics.paired import PairedTest, pairs_test

SEED, SIZE = "seed", "data.size"
_SIDE = "cell and sweep"  # one number for each

RESULTS = ["runs_a", "runs_b", "pairs", "identical", "mean_a", "mean_b"]
ESTIMATE = ["difference", "low", "high"]


@dataclass(frozen=True, kw_only=True)
class SweepComparison:
    """Two sweeps side by side; a difference is the second less the first."""

    metric: str
    settings: pd.DataFrame
    """Settings whose values are not the same in both sweeps: `setting`, `values_a` and `values_b`
    (tuples), and `swept`, whether either sweep varies it."""

    cells: pd.DataFrame
    """One row per cell with a finished run in both: its settings, `runs_a` and `runs_b` (finished
    runs), `pairs`, `identical` (pairs with the same weights, bit for bit), `mean_a` and `mean_b`,
    `difference` and the ends `low` and `high` of its 95 % interval; without pairs or with one
    alone they are infinite."""

    pairs: pd.DataFrame
    """One row per pair: its settings, `key_a`, `key_b`, `value_a`, `value_b`, `difference`,
    `same_key` and `identical`."""

    only_a: pd.DataFrame
    """Planned runs of the first sweep alone: their settings and `state`."""

    only_b: pd.DataFrame
    """Planned runs of the second sweep alone."""

    unfinished: int
    """Number of runs planned in both that lack a result in either."""

    obstacle: str | None
    """Setting without a common value that leaves several runs for one cell; None if runs match."""

    overall: Estimate | None
    """Mean difference over all pairs; None without pairs."""

    test: PairedTest | None
    """Permutation test over all pairs; None without pairs."""


def compare(
    first: pd.DataFrame, second: pd.DataFrame, swept: Collection[str], metric: str
) -> SweepComparison:
    """Compare two tables of planned runs.

    Args:
        first: One row per planned run: its settings under dotted keys, `seed`, `key`, `state`,
            and for finished runs `weights_sha256`, the metric and perhaps `labels`.
        second: The same of the other sweep.
        swept: Settings that either sweep varies. A group stands for all settings in it.
        metric: Column to compare.
    """
    first, second = (_with(table, [metric, "weights_sha256"]) for table in (first, second))
    names = [*dict.fromkeys(name for table in (first, second) for name in settings_of(table))]
    first, second = _with(first, names), _with(second, names)
    varied = [name for name in names if name == SEED or _inside(name, swept)]
    keys = [name for name in varied if _values(first, name) & _values(second, name)]
    cell_keys = [name for name in keys if name != SEED]
    obstacle = _obstacle(first, second, varied, cell_keys)
    one, other = (_indexed(table, keys) for table in (first, second))
    matched = [] if obstacle else [place for place in one if place in other]
    done = _done(first, metric), _done(second, metric)
    pairs = _pairs(*done, keys, metric) if SEED in keys and not obstacle else _no_pairs(keys)
    cells = _cells(*done, pairs, cell_keys, metric) if not obstacle else pd.DataFrame()
    overall, test = _overall(pairs)
    return SweepComparison(
        metric=metric,
        settings=_differences(first, second, names, varied),
        cells=cells,
        pairs=pairs,
        only_a=_alone(first, one, other, varied),
        only_b=_alone(second, other, one, varied),
        unfinished=_unfinished(matched, *(_indexed(table, keys) for table in done)),
        obstacle=obstacle,
        overall=overall,
        test=test,
    )


def settings_of(table: pd.DataFrame) -> list[str]:
    """Return the columns that hold settings: the seed, the device and those with a dot."""
    return [
        str(c)
        for c in table.columns
        if c == SEED or ("." in str(c) and "/" not in str(c) and str(c)[0].isalpha())
    ]


def _inside(name: str, groups: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{group}.") for group in groups)


def _with(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return a table with further columns, empty where they were missing."""
    return table.reindex(columns=[*dict.fromkeys([*table.columns, *columns])])


def _plain(value: Any) -> Any:  # noqa: ANN401 - a value of any setting
    """Return a value that compares equal to itself; None for a missing one."""
    if isinstance(value, float) and np.isnan(value):
        return None
    return tuple(value) if isinstance(value, list) else value


def _column(table: pd.DataFrame, name: str) -> list[Hashable]:
    return [_plain(value) for value in table[name].tolist()]


def _values(table: pd.DataFrame, name: str) -> set[Hashable]:
    return set(_column(table, name))


def _places(table: pd.DataFrame, keys: Sequence[str]) -> list[tuple[Hashable, ...]]:
    columns = [_column(table, name) for name in keys]
    return list(zip(*columns, strict=True)) if columns else [()] * len(table)


Runs = Mapping[tuple[Hashable, ...], list[int]]
"""Positions of the rows of a table, by their values of some settings."""


def _indexed(table: pd.DataFrame, keys: Sequence[str]) -> Runs:
    found: dict[tuple[Hashable, ...], list[int]] = {}
    for row, place in enumerate(_places(table, keys)):
        found.setdefault(place, []).append(row)
    return found


def _obstacle(
    first: pd.DataFrame, second: pd.DataFrame, varied: Sequence[str], keys: Sequence[str]
) -> str | None:
    """Return a swept setting without a common value that leaves several runs for one cell."""
    for table in (first, second):
        for name in varied:
            if name in keys or name == SEED:
                continue
            for rows in _indexed(table, [*keys, SEED]).values():
                if len({_column(table, name)[row] for row in rows}) > 1:
                    return name
    return None


def _done(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the finished runs that have the metric."""
    return table[(table["state"] == "done") & table[metric].notna()]


def _no_pairs(keys: Sequence[str]) -> pd.DataFrame:
    columns = ["key_a", "key_b", "value_a", "value_b", "difference", "same_key", "identical"]
    return pd.DataFrame(columns=[*keys, *columns, "labels_a", "labels_b"])


def _pairs(
    first: pd.DataFrame, second: pd.DataFrame, keys: Sequence[str], metric: str
) -> pd.DataFrame:
    one, other = _indexed(first, keys), _indexed(second, keys)
    rows = []
    for place, found in ((place, rows) for place, rows in one.items() if place in other):
        a, b = first.iloc[found[0]], second.iloc[other[place][0]]
        same = _plain(a["weights_sha256"]) is not None
        rows.append(
            dict(zip(keys, place, strict=True))
            | {"key_a": a["key"], "key_b": b["key"]}
            | {"value_a": float(a[metric]), "value_b": float(b[metric])}
            | {"difference": float(b[metric]) - float(a[metric]), "same_key": a["key"] == b["key"]}
            | {"identical": same and a["weights_sha256"] == b["weights_sha256"]}
            | {"labels_a": a.get("labels"), "labels_b": b.get("labels")}
        )
    return pd.DataFrame(rows) if rows else _no_pairs(keys)


def _cells(
    first: pd.DataFrame,
    second: pd.DataFrame,
    pairs: pd.DataFrame,
    keys: Sequence[str],
    metric: str,
) -> pd.DataFrame:
    """Return the table of cells; see `SweepComparison.cells`."""
    one, other = _indexed(first, keys), _indexed(second, keys)
    paired = _indexed(pairs, keys)
    intervals = _intervals(pairs, paired, metric)
    rows = []
    for place in (place for place in one if place in other):
        a = first.iloc[one[place]][metric].to_numpy(float)
        b = second.iloc[other[place]][metric].to_numpy(float)
        here = pairs.iloc[paired.get(place, [])]
        if len(here):
            a, b = here["value_a"].to_numpy(float), here["value_b"].to_numpy(float)
            found = intervals[place]
        else:
            found = of_difference(a, b)
        rows.append(
            dict(zip(keys, place, strict=True))
            | {"runs_a": len(one[place]), "runs_b": len(other[place]), "pairs": len(here)}
            | {"identical": int(here["identical"].sum())}
            | {"mean_a": float(a.mean()), "mean_b": float(b.mean())}
            | dict(zip(ESTIMATE, (found.value, found.low, found.high), strict=True))
        )
    return pd.DataFrame(rows, columns=[*keys, *RESULTS, *ESTIMATE])


def _intervals(
    pairs: pd.DataFrame, cells: Runs, metric: str
) -> dict[tuple[Hashable, ...], Estimate]:
    """Return the difference of each cell with pairs."""
    counted = bool(pairs[["labels_a", "labels_b"]].notna().all(axis=None))
    shares = metric.startswith("accuracy") and counted and len(pairs) > 0
    means = _cell_means(pairs, cells) if shares else None
    found = {}
    for number, (place, rows) in enumerate(cells.items()):
        here = pairs.iloc[rows]
        plain = of_mean(here["difference"].to_numpy(float))
        if means is None or here["identical"].all() or len(rows) < 2:
            found[place] = plain
            continue
        wide = means.difference(({_SIDE: 2 * number}, {_SIDE: 2 * number + 1}))
        # The posterior shrinks a mean at 0 or 1; the measured difference is never left out.
        ends = min(wide.low, plain.value), max(wide.high, plain.value)
        found[place] = Estimate(plain.value, *ends, len(rows))
    return found


def _cell_means(pairs: pd.DataFrame, cells: Runs) -> CellMeans:
    """Return the posterior of the means of all cells of both sweeps, by their number."""
    number = np.empty(len(pairs), dtype=int)
    for index, rows in enumerate(cells.values()):
        number[rows] = index
    both = pd.concat(
        pd.DataFrame(
            {
                _SIDE: 2 * number + second,
                "seed": pairs[SEED].to_numpy(),
                "value": pairs[f"value_{side}"].to_numpy(float),
                "labels": pairs[f"labels_{side}"].to_numpy(float),
            }
        )
        for second, side in enumerate("ab")
    )
    return CellMeans(both, "value", both["labels"].tolist(), [_SIDE])


def _overall(pairs: pd.DataFrame) -> tuple[Estimate | None, PairedTest | None]:
    """Return the mean difference over all pairs, with its interval over blocks, and the test."""
    if pairs.empty:
        return None, None
    blocks = _places(pairs, [name for name in (SEED, SIZE) if name in pairs])
    differences = pairs["difference"].to_numpy(float)
    found = pairs_test(pairs["value_a"], pairs["value_b"], [str(block) for block in blocks])
    means = pd.Series(differences).groupby([str(block) for block in blocks]).mean()
    spread = of_mean(means.to_numpy())
    half = spread.high - spread.value
    value = float(differences.mean())
    return Estimate(value, value - half, value + half, found.blocks), found


def _differences(
    first: pd.DataFrame, second: pd.DataFrame, names: Sequence[str], varied: Collection[str]
) -> pd.DataFrame:
    """Return the settings whose values are not the same; see `SweepComparison.settings`."""
    rows = []
    for name in names:
        one, other = (tuple(dict.fromkeys(_column(table, name))) for table in (first, second))
        if set(one) != set(other):
            rows.append((name, one, other, name in varied))
    return pd.DataFrame(rows, columns=["setting", "values_a", "values_b", "swept"])


def _alone(table: pd.DataFrame, own: Runs, other: Runs, varied: Sequence[str]) -> pd.DataFrame:
    """Return the runs of a sweep that have no match in the other."""
    rows = [row for place, rows in own.items() if place not in other for row in rows]
    return table.iloc[sorted(rows)][[*varied, "state"]].reset_index(drop=True)


def _unfinished(matched: Collection[tuple[Hashable, ...]], one: Runs, other: Runs) -> int:
    return sum(place not in one or place not in other for place in matched)
