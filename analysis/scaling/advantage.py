"""How many times fewer examples a model needs than one that draws its nearest training example.

The exponent of the examples needed says little about a model: drawing the nearest example also
needs a number that grows like N^2, the area of the frame over that of the tolerance. The ratio of
the two numbers says how far the model goes beyond its examples. The measure is our definition.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from analysis.scaling.exponents import SizeCrossing
from analysis.scaling.first_guess import first_guess
from analysis.tables.selection import single
from factorlab.config import DataSettings, EvaluationSettings, RunSettings

_NORMAL_95 = NormalDist().inv_cdf(0.975)


def null_crossings(rows: pd.DataFrame, level: float) -> dict[int, float]:
    """Return the examples at which drawing the nearest one reaches a level, by N.

    Args:
        rows: One row per trial, which differ in no setting of the lattice except N, with the column
            `data.size` and others by dotted keys; a setting without a column has its default.
        level: Accuracy, strictly between 0 and 1.

    Returns:
        The numbers; an N whose whole lattice does not reach the level is missing.

    Raises:
        ValueError: The trials have different lattices.
    """
    data, evaluation = _lattice(rows), _evaluation(rows)
    found = {}
    for size in sorted(set(rows["data.size"].astype(int))):
        run = RunSettings(data=data.model_copy(update={"size": size}), evaluation=evaluation)
        samples = first_guess(run, "nearest", level)
        if samples is not None:
            found[size] = samples
    return found


def _lattice(rows: pd.DataFrame) -> DataSettings:
    spacing = single(rows, "data.spacing")
    periodic = bool(rows["data.periodic"].iloc[0]) if "data.periodic" in rows else False
    return DataSettings(spacing=spacing, periodic=periodic)  # type: ignore[arg-type]  # or a pair


def _evaluation(rows: pd.DataFrame) -> EvaluationSettings:
    keys = {name: f"evaluation.{name}" for name in ("labels", "samples")}
    given = {name: rows[key].to_list()[0] for name, key in keys.items() if key in rows}
    return EvaluationSettings(**given)


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
        weights = item.crossing.density / item.crossing.density.sum()
        mean = float(weights @ item.crossing.points)
        variance = float(weights @ (item.crossing.points - mean) ** 2)
        middle = math.log(nulls[item.size]) - mean
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


def _ends(mean: float, variance: float) -> tuple[float, float, float]:
    """Return a ratio and its interval from mean and variance of its logarithm."""
    half = _NORMAL_95 * math.sqrt(variance)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)
