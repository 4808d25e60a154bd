"""Scaling of the number of samples needed to learn with the side of the frame ([F] Fig 5c).

For each data family and each N, accuracy crosses a level at some number of samples
(`analysis.scaling.thresholds`). The exponent is the slope of log(samples) against log(N)
(`analysis.scaling.power_law`).

Samples are counted in two ways. The crossing is estimated in 2D examples. The number of all
examples at the crossing follows from it, since the stripes beside the 2D examples are given. Only a
data set without 2D examples is estimated in all its examples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analysis.scaling.power_law import CrossingDensity, fit_power_law
from analysis.scaling.thresholds import Crossing, crossing
from analysis.tables.selection import measured, over_seeds, require

# The two ways of counting samples: 2D examples only, and the whole data set.
Count = Literal["samples_2d", "samples_total"]
COUNTS: tuple[Count, ...] = get_args(Count)

# Columns that every function of this module needs.
COLUMNS = ("data.family", "data.size", "data.subsample", "seed", *COUNTS, "accuracy", "ceiling")

_NOTED = 0.005  # probability outside the measured range from which a reason names it


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
    """The median of the exponent's posterior; None with fewer than two crossings."""

    prefactor: float | None
    """Samples at N = 1; None with fewer than two crossings."""

    low: float | None
    """Lower end of the central 95 % interval of the exponent."""

    high: float | None
    """Upper end of the central 95 % interval of the exponent."""

    exact: tuple[float, float] | None
    """The interval if the crossings were known to follow a power law; it is too short if they only
    scatter about one."""

    odds: float | None
    """How many times more likely the crossings are with the exponent 2 than with 1."""

    reason: str
    """Why there is no value, or what limits it; empty otherwise."""


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


def measure_crossings(table: pd.DataFrame, *, level: float = 0.6) -> list[SizeCrossing]:
    """Measure the crossings of each family, N and way of counting.

    Args:
        table: One row per finished trial, with `COLUMNS`; rows without accuracy are skipped.
        level: Accuracy to be crossed, from 0.04 to 0.96.

    Returns:
        The crossings, sorted by family, count and N. The count `samples_2d` excludes trials
        without 2D examples.

    Raises:
        ValueError: A column is missing or a value is out of its range.
    """
    require(table, COLUMNS)
    result = []
    for (family, size), trials in measured(table).groupby(["data.family", "data.size"]):
        plane = trials[trials["samples_2d"] > 0]
        found: dict[Count, Crossing] = {}
        if len(plane):
            found["samples_2d"] = crossing(plane["samples_2d"], plane["accuracy"], level=level)
            found["samples_total"] = _of_all_samples(found["samples_2d"], plane)
        else:
            found["samples_total"] = crossing(
                trials["samples_total"], trials["accuracy"], level=level
            )
        result += [
            SizeCrossing(family=str(family), size=int(str(size)), count=count, crossing=one)
            for count, one in found.items()
        ]
    return sorted(result, key=lambda item: (item.family, item.count, item.size))


def _of_all_samples(in_2d: Crossing, trials: pd.DataFrame) -> Crossing:
    """Convert a crossing in 2D examples to one in all examples.

    The number of stripes is constant or proportional to that of the 2D examples, up to rounding.
    """
    plane, total = (trials[count].to_numpy(dtype=np.float64) for count in COUNTS)
    slope, stripes = 1.0, float((total - plane).mean())
    if np.ptp(total - plane) > 0:
        slope, stripes = (float(value) for value in np.polyfit(plane, total, 1))

    def convert(samples: float | None) -> float | None:
        return None if samples is None else stripes + slope * samples

    amounts = np.exp(in_2d.points)
    positions = np.log(np.maximum(stripes + slope * amounts, 1e-9))
    points = np.linspace(positions[0], positions[-1], len(positions))
    # d(position) = slope amounts / total d(point)
    density = in_2d.density * (stripes + slope * amounts) / (slope * amounts)
    unit = "in 2D examples: " if in_2d.reason and (total != plane).any() else ""
    return replace(
        in_2d,
        reason=f"{unit}{in_2d.reason}",
        value=convert(in_2d.value),
        low=convert(in_2d.low),
        high=convert(in_2d.high),
        monotone=convert(in_2d.monotone),
        smallest=float(total.min()),
        largest=float(total.max()),
        points=points,
        density=np.interp(points, positions, density),
    )


def crossings_table(crossings: Sequence[SizeCrossing]) -> pd.DataFrame:
    """Convert crossings to a table.

    Returns:
        A table with the columns `family`, `size`, `count`, `value`, `low`, `high`, `monotone`
        (samples; NaN for None), `outside` (probability that the crossing lies outside the measured
        range) and `reason`.
    """
    rows = [
        (
            *(item.family, item.size, item.count),
            *map(_number, (found.value, found.low, found.high, found.monotone)),
            *(found.outside, found.reason),
        )
        for item in crossings
        for found in [item.crossing]
    ]
    columns = [
        *("family", "size", "count", "value", "low", "high", "monotone", "outside", "reason")
    ]
    return pd.DataFrame(rows, columns=columns)


def fit_exponent(crossings: Sequence[SizeCrossing]) -> Exponent:
    """Fit the exponent of the crossings against N; see `analysis.scaling.power_law`.

    Args:
        crossings: Crossings of one family and one way of counting, at different N. Crossings
            without a value are skipped.

    Returns:
        The exponent and its interval; see `Exponent`.
    """
    used = [item for item in crossings if item.crossing.value is not None]
    if len(used) < 2:
        reason = f"an exponent needs crossings at two N, and there are {len(used)}"
        return Exponent(
            value=None, prefactor=None, low=None, high=None, exact=None, odds=None, reason=reason
        )
    densities = [
        CrossingDensity(size=item.size, points=item.crossing.points, density=item.crossing.density)
        for item in used
    ]
    law = fit_power_law(densities)
    notes = [
        f"the crossing at N = {item.size} lies outside the measured range with a probability of "
        f"{100 * item.crossing.outside:.0f} %"
        for item in used
        if item.crossing.outside >= _NOTED
    ]
    if len(used) == 2:
        notes.append("two N: a line always fits, so the power law is not tested")
    low, high = law.interval()
    return Exponent(
        value=law.value,
        prefactor=law.prefactor,
        low=low,
        high=high,
        exact=fit_power_law(densities, exact=True).interval(),
        odds=law.odds(2, 1),
        reason="; ".join(notes),
    )


def exponents_table(crossings: Sequence[SizeCrossing]) -> pd.DataFrame:
    """Fit the exponent of each family and way of counting.

    Returns:
        A table with the columns `family`, `count`, `sizes` (the N used), `exponent`, `low`, `high`
        (95 % interval), `exact_low` and `exact_high` (if the crossings followed the law exactly),
        `odds` (of exponent 2 against 1), `prefactor` (samples at N = 1) and `reason`; NaN for None.
    """
    groups: dict[tuple[str, str], list[SizeCrossing]] = {}
    for item in crossings:
        groups.setdefault((item.family, item.count), []).append(item)
    rows = []
    for (family, count), members in groups.items():
        fit = fit_exponent(members)
        sizes = " ".join(str(item.size) for item in members if item.crossing.value is not None)
        exact = fit.exact or (None, None)
        numbers = (fit.value, fit.low, fit.high, *exact, fit.odds, fit.prefactor)
        rows.append((family, count, sizes, *map(_number, numbers), fit.reason))
    columns = [
        *("family", "count", "sizes", "exponent", "low", "high", "exact_low", "exact_high"),
        *("odds", "prefactor", "reason"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
