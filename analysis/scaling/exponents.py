"""Scaling of the number of samples needed to learn with the side of the frame ([F] Fig 5c).

For each data family and each N, accuracy crosses a level at some number of samples
(`analysis.scaling.thresholds`). The exponent is the slope of log(samples) against log(N).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.scaling.thresholds import Crossing, crossing
from analysis.tables.selection import measured, over_seeds, require

# The two ways of counting samples: 2D examples only, and the whole data set.
Count = Literal["samples_2d", "samples_total"]
COUNTS: tuple[Count, ...] = get_args(Count)

# Columns that every function of this module needs.
COLUMNS = ("data.family", "data.size", "data.subsample", "seed", *COUNTS, "accuracy", "ceiling")


@dataclass(frozen=True, kw_only=True)
class SizeCrossing:
    """The crossing of one curve of accuracy against samples."""

    family: str
    """Data family, `data.family`."""

    size: int
    """Side N of the frame in pixels."""

    count: Count
    """Which samples are counted."""

    crossing: Crossing
    """Where the curve crosses the level."""


@dataclass(frozen=True, kw_only=True)
class Exponent:
    """A power law `samples = prefactor * N^value`."""

    value: float | None
    """The exponent; None with fewer than two crossings."""

    prefactor: float | None
    """Samples at N = 1; None with fewer than two crossings."""

    low: float | None
    """Lower end of the 95 % bootstrap interval of the exponent."""

    high: float | None
    """Upper end of the 95 % bootstrap interval of the exponent."""

    t_low: float | None
    """Lower end of the 95 % t-interval from the scatter about the line; None for fewer than three
    N."""

    t_high: float | None
    """Upper end of the 95 % t-interval from the scatter about the line; None for fewer than three
    N."""

    reason: str
    """Why there is no value, or what limits the intervals; empty otherwise."""


def accuracy_table(table: pd.DataFrame) -> pd.DataFrame:
    """Average the accuracy over seeds for each family, N and lambda.

    Args:
        table: One row per finished trial, with `COLUMNS`; rows without accuracy are skipped.

    Returns:
        A table with the columns `family`, `size`, `subsample` (lambda), `samples_2d`,
        `samples_total`, `trials`, `mean` and `std` of the accuracy (`std` is NaN for one trial),
        and `ceiling`, the mean accuracy of the label reader on clean images.

    Raises:
        ValueError: A column is missing, or an accuracy is outside [0, 1].
    """
    require(table, COLUMNS)
    keys = ["data.family", "data.size", "data.subsample", *COUNTS]
    result = over_seeds(measured(table).sort_values(keys, kind="stable"), keys)
    return result.rename(columns=lambda name: name.removeprefix("data."))


def measure_crossings(
    table: pd.DataFrame, *, level: float = 0.6, seed: int = 0, resamples: int = 2000
) -> list[SizeCrossing]:
    """Measure the crossings of each family, N and way of counting.

    Args:
        table: One row per finished trial, with `COLUMNS`; rows without accuracy are skipped.
        level: Accuracy to be crossed, strictly between 0 and 1.
        seed: Seed of the bootstrap. Each curve has its own random stream, derived from the seed, N
            and the name of the family. Replicates of different curves are therefore independent,
            and adding curves to the table does not change the interval of a curve. Both ways of
            counting share one stream.
        resamples: Number of bootstrap replicates.

    Returns:
        The crossings, sorted by family, count and N. The count `samples_2d` excludes trials
        without 2D examples.

    Raises:
        ValueError: A column is missing or a value is out of its range.
    """
    require(table, COLUMNS)
    result = []
    rows = measured(table)
    curves = rows[["data.family", "data.size"]].drop_duplicates()
    for family, size in curves.itertuples(index=False):
        trials = rows[(rows["data.family"] == family) & (rows["data.size"] == size)]
        for count in COUNTS:
            counted = trials[trials[count] > 0]
            if counted.empty:
                continue
            found = crossing(
                counted[count].to_numpy(dtype=np.float64),
                counted["accuracy"].to_numpy(dtype=np.float64),
                level=level,
                seed=[seed, int(size), *str(family).encode()],
                resamples=resamples,
            )
            result.append(
                SizeCrossing(family=str(family), size=int(size), count=count, crossing=found)
            )
    return sorted(result, key=lambda item: (item.family, item.count, item.size))


def crossings_table(crossings: Sequence[SizeCrossing]) -> pd.DataFrame:
    """Convert crossings to a table.

    Returns:
        A table with the columns `family`, `size`, `count`, `value`, `low`, `high` (samples; NaN
        for None), `crossed` (share of bootstrap replicates that cross in the measured range) and
        `reason`.
    """
    rows = [
        (
            item.family,
            item.size,
            item.count,
            *map(_number, (item.crossing.value, item.crossing.low, item.crossing.high)),
            item.crossing.crossed,
            item.crossing.reason,
        )
        for item in crossings
    ]
    columns = ["family", "size", "count", "value", "low", "high", "crossed", "reason"]
    return pd.DataFrame(rows, columns=columns)


def fit_exponent(crossings: Sequence[SizeCrossing]) -> Exponent:
    """Fit the exponent of the crossings against N, by least squares of both logarithms.

    The bootstrap interval propagates the spread of the trials into the exponent and assumes the
    power law. The replicates of different N are independent. The b-th replicates of all N are
    fitted together, and the interval holds the central 95 % of the slopes. A replicate that does
    not cross is moved to the end of the measured range beyond which it lies. The interval may then
    be too short, and `reason` gives the share of such replicates.

    The t-interval takes the crossings as exact and measures their scatter about the line. It needs
    three N.

    Args:
        crossings: Crossings of one family and one way of counting, at different N. Crossings
            without a value are skipped.

    Returns:
        The exponent and its intervals; see `Exponent`.
    """
    used = [item for item in crossings if item.crossing.value is not None]
    if len(used) < 2:
        reason = f"an exponent needs crossings at two N, and there are {len(used)}"
        return Exponent(
            value=None,
            prefactor=None,
            low=None,
            high=None,
            t_low=None,
            t_high=None,
            reason=reason,
        )
    log_size = np.log([item.size for item in used])
    log_count = np.log([_number(item.crossing.value) for item in used])
    slope, intercept = _line(log_size, log_count)
    low, high, notes = _bootstrap_interval(log_size, used)
    if len(used) == 2:
        t_low, t_high = None, None
        notes.append("two N: a line always fits, so the power law is not tested")
    else:
        fit = stats.linregress(log_size, log_count)
        half = float(stats.t.ppf(0.975, len(used) - 2) * fit.stderr)
        t_low, t_high = slope - half, slope + half
    return Exponent(
        value=slope,
        prefactor=math.exp(intercept),
        low=low,
        high=high,
        t_low=t_low,
        t_high=t_high,
        reason="; ".join(notes),
    )


def exponents_table(crossings: Sequence[SizeCrossing]) -> pd.DataFrame:
    """Fit the exponent of each family and way of counting.

    Returns:
        A table with the columns `family`, `count`, `sizes` (the N used), `exponent`, `low`, `high`
        (bootstrap), `t_low`, `t_high` (scatter about the line), `prefactor` (samples at N = 1) and
        `reason`; NaN for None.
    """
    groups: dict[tuple[str, str], list[SizeCrossing]] = {}
    for item in crossings:
        groups.setdefault((item.family, item.count), []).append(item)
    rows = []
    for (family, count), members in groups.items():
        fit = fit_exponent(members)
        sizes = " ".join(str(item.size) for item in members if item.crossing.value is not None)
        numbers = (fit.value, fit.low, fit.high, fit.t_low, fit.t_high, fit.prefactor)
        rows.append((family, count, sizes, *map(_number, numbers), fit.reason))
    return pd.DataFrame(
        rows,
        columns=[
            *("family", "count", "sizes", "exponent", "low", "high", "t_low", "t_high"),
            *("prefactor", "reason"),
        ],
    )


def _line(log_size: NDArray[np.float64], log_count: NDArray[np.float64]) -> tuple[float, float]:
    """Return the slope and intercept of the least-squares line."""
    slope = float(_slopes(log_size, log_count[None])[0])
    return slope, float(log_count.mean() - slope * log_size.mean())


def _slopes(log_size: NDArray[np.float64], log_count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least-squares slope of each row of `log_count`, shape (rows, sizes)."""
    centred = log_size - log_size.mean()
    return np.asarray(log_count @ centred / (centred @ centred))


def _bootstrap_interval(
    log_size: NDArray[np.float64], used: Sequence[SizeCrossing]
) -> tuple[float | None, float | None, list[str]]:
    """Return the 95 % bootstrap interval of the slope, and remarks on it."""
    alone = [str(item.size) for item in used if not item.crossing.replicates.size]
    if alone:
        return None, None, [f"no interval: one trial at every count for N = {', '.join(alone)}"]
    drawn = np.stack([item.crossing.replicates for item in used], axis=1)  # (resamples, sizes)
    beyond = float(np.isinf(drawn).any(axis=1).mean())
    smallest = [item.crossing.smallest for item in used]
    largest = [item.crossing.largest for item in used]
    slopes = _slopes(log_size, np.log(np.clip(drawn, smallest, largest)))
    low, high = np.quantile(slopes, [0.025, 0.975])
    notes = (
        [f"{100 * beyond:.0f} % of replicates leave the measured range"] if beyond >= 0.005 else []
    )
    return float(low), float(high), notes


def _number(value: float | None) -> float:
    return math.nan if value is None else value
