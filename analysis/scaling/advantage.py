"""How many times fewer examples a model needs than one that draws its nearest training example.

The exponent of the examples needed says little about a model: drawing the nearest example also
needs a number that grows like N^2, the area of the frame over that of the tolerance. The ratio of
the two numbers says how far the model goes beyond its examples. The measure is our definition.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from analysis.scaling.exponents import SizeCrossing
from analysis.scaling.first_guess import first_guess
from analysis.scaling.thresholds import Crossing
from factorlab.config import RunSettings
from factorlab.errors import UserError
from factorlab.parsing import parse, setting_keys

_NORMAL_95 = NormalDist().inv_cdf(0.975)


def null_crossings(rows: pd.DataFrame, level: float) -> dict[int, float]:
    """Return the examples at which drawing the nearest one reaches a level, by N.

    Args:
        rows: One row per trial; settings are the columns with a dot in their name, and those
            without a column have their defaults. Only lambda, seed and family may differ at an N.
        level: Accuracy, strictly between 0 and 1.

    Returns:
        The numbers. An N is missing if its whole lattice does not reach the level, or if its
        settings are not allowed.
    """
    found = {}
    for size, trials in rows.groupby("data.size"):
        with suppress(UserError):  # a table of other origin
            samples = first_guess(_run_of(trials.iloc[0]), "nearest", level)
            if samples is not None:
                found[int(str(size))] = samples
    return found


def _run_of(row: "pd.Series[Any]") -> RunSettings:
    """Return the settings of a trial on the whole lattice, of bumps, with seed 0.

    Raises:
        UserError: They are not allowed.
    """
    nested: dict[str, Any] = {}
    for key in setting_keys():
        *path, name = key.split(".")
        value = row.get(key)
        if not path or value is None or value != value:  # noqa: PLR0124 - NaN is a missing value
            continue
        group = nested
        for part in path:
            group = group.setdefault(part, {})
        group[name] = value.item() if isinstance(value, np.generic) else value
    nested["data"] |= {"subsample": 1.0, "family": "bump"}
    return parse(nested)


def advantages_table(crossings: Sequence[SizeCrossing], nulls: Mapping[int, float]) -> pd.DataFrame:
    """Return the ratio of the null model's crossing to the measured one.

    Args:
        crossings: Measured crossings; only those in 2D examples count.
        nulls: Crossing of the null model by N.

    Returns:
        A table with the columns `family`, `size`, `null` (2D examples), `ratio`, `low` and `high`
        (95 % interval). In the last row of each family, `size` is 0 and the ratio is the geometric
        mean over its N, whose posteriors are taken as normal and independent.
    """
    rows = []
    families: dict[str, list[tuple[float, float]]] = {}
    for item in crossings:
        if item.count != "samples_2d" or item.crossing.value is None or item.size not in nulls:
            continue
        middle, variance = _log_ratio(item.crossing, nulls[item.size])
        families.setdefault(item.family, []).append((middle, variance))
        rows.append((item.family, item.size, nulls[item.size], *_ends(middle, variance)))
    for family, found in families.items():
        means, variances = np.array(found).T
        rows.append((family, 0, math.nan, *_ends(means.mean(), variances.sum() / len(found) ** 2)))
    columns = ["family", "size", "null", "ratio", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    last = table["size"].replace(0, max(nulls, default=0) + 1)
    order = table.assign(last=last).sort_values(["family", "last"]).index
    return table.loc[order].reset_index(drop=True)


def advantage(crossing: Crossing, null: float) -> tuple[float, float, float]:
    """Return how many times fewer examples a model needs, with its 95 % interval.

    Args:
        crossing: Where its accuracy crosses a level.
        null: Examples at which the null model crosses it.

    Returns:
        The ratio and both ends of its interval.
    """
    return _ends(*_log_ratio(crossing, null))


def _log_ratio(crossing: Crossing, null: float) -> tuple[float, float]:
    """Return mean and variance of the logarithm of the ratio."""
    weights = crossing.density / crossing.density.sum()
    mean = float(weights @ crossing.points)
    variance = float(weights @ (crossing.points - mean) ** 2)
    return math.log(null) - mean, variance


def _ends(mean: float, variance: float) -> tuple[float, float, float]:
    """Return a ratio and its interval from mean and variance of its logarithm."""
    half = _NORMAL_95 * math.sqrt(variance)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)
