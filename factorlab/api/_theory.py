"""Thresholds and exponents of measured runs, and what percolation theory predicts for them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from factorlab.api._frames import finished

if TYPE_CHECKING:
    import pandas as pd

Spacing = float | tuple[float, float]

_CURVE = ("data.family", "data.size", "data.subsample", "seed")
_FOLLOWS = {"training.steps": "data.size", "training.batch_size": "data.family"}
"""Settings that may differ within one scaling law, as in the figure `scaling`."""


def crossings(
    frame: pd.DataFrame, level: float = 0.6, *, by: str | Sequence[str] = ()
) -> pd.DataFrame:
    """Estimate the number of samples at which accuracy crosses a level, for each family and N.

    The estimate is the median of a posterior, and the interval its central 95 %;
    `analysis/scaling/thresholds.py` has the method. A crossing outside of the measured numbers has
    no value, and `reason` says why.

    Args:
        frame: Frame of `load`, of runs or of evaluations; unfinished runs are left out. Its runs
            may differ in family, N, lambda and seed, in settings of `by`, in the number of steps
            from N to N, and in the batch size from family to family.
        level: Accuracy to be crossed, from 0.04 to 0.96.
        by: Further settings that distinguish curves, such as ``"data.sigma"``.

    Returns:
        One row per curve and way of counting: the settings of `by`, `family`, `size` (N, pixels),
        `count` (`samples_2d`, examples with both coordinates, or `samples_total`, with stripes),
        `value`, `low` and `high` (examples; 95 % interval, NaN for an open end), `monotone`
        (crossing of a monotone fit, examples), `outside` (probability that the crossing lies
        outside of the measured range), `reason`, `level`, and `posterior`, the whole posterior as
        an object, which `exponents` needs; drop it before you write a file.

    Raises:
        ValueError: A column is missing, or the runs differ in other settings.

    Examples:
        >>> import factorlab.api as fl
        >>> found = fl.crossings(fl.load("scaling"))
        >>> found["family"].unique().tolist()  # one crossing for each family, N and count
        ['bump', 'bump+stripes']
        >>> bool((found["low"] < found["value"]).all() and (found["value"] < found["high"]).all())
        True
    """
    import pandas as pd

    from analysis.scaling import exponents as scaling
    from analysis.tables.selection import alike, require

    keys = [by] if isinstance(by, str) else [*by]
    require(frame, [*scaling.COLUMNS, *keys])
    rows = finished(frame)
    parts = []
    for values, group in rows.groupby(keys, sort=True) if keys else [((), rows)]:
        alike(group, _CURVE, _FOLLOWS)
        found = scaling.measure_crossings(group, level=level)
        table = scaling.crossings_table(found)
        posteriors = pd.Series([one.crossing for one in found], dtype=object)
        parts.append(_labelled(table.assign(level=level, posterior=posteriors), keys, values))
    return pd.concat(parts, ignore_index=True)


_CROSSINGS = ("family", "size", "count", "value", "low", "high", "monotone", "outside", "reason")


def exponents(crossings: pd.DataFrame) -> pd.DataFrame:
    """Fit the power law ``samples = prefactor N^exponent`` to crossings, or to predictions.

    Args:
        crossings: Frame of `crossings` or of `predictions`; rows may be left out.

    Returns:
        Of crossings, one row per curve through several N: the settings of ``by``, `family`,
        `count`, `sizes` (the N used), `exponent`, `low` and `high` (95 % interval; no unit),
        `exact_low` and `exact_high` (the interval if the crossings followed the law exactly),
        `odds` (how many times more likely the exponent 2 is than 1), `prefactor` (examples at
        N = 1) and `reason`. Of predictions: `threshold`, `sizes`, `exponent`, `low`, `high` and
        `prefactor`.

    Raises:
        ValueError: The frame is neither.

    Examples:
        >>> import factorlab.api as fl
        >>> frame = fl.load("scaling")
        >>> laws = fl.exponents(fl.crossings(frame)).set_index(["family", "count"])
        >>> law = laws.loc[("bump", "samples_2d")]
        >>> bool(law["low"] < law["exponent"] < law["high"])
        True
    """
    import pandas as pd

    from analysis.scaling import exponents as scaling
    from analysis.scaling.predictions import prediction_exponents_table
    from analysis.tables.selection import require

    if "posterior" not in crossings and "threshold" in crossings:
        require(crossings, ["threshold", "size", "value", "error"])
        return prediction_exponents_table(crossings)
    require(crossings, [*_CROSSINGS, "posterior"])
    keys = [c for c in crossings.columns if c not in {*_CROSSINGS, "posterior", "level"}]
    groups: Any = crossings.groupby(keys, sort=False) if keys else [((), crossings)]
    parts = []
    for values, group in groups:
        found = [
            scaling.SizeCrossing(
                family=str(row["family"]),
                size=int(row["size"]),
                count=row["count"],
                crossing=row["posterior"],
            )
            for _, row in group.iterrows()
        ]
        parts.append(_labelled(scaling.exponents_table(found), keys, values))
    return pd.concat(parts, ignore_index=True)


def percolation(
    size: int | Sequence[int],
    sigma: float,
    *,
    spacing: Spacing = 0.5,
    threshold: float | Sequence[float] = 0.5,
    smallest: float = 0.01,
    points: int = 40,
    realisations: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute the share of the kept bumps in their largest cluster, against lambda.

    Two bumps are linked if their overlap exceeds a threshold. The simulation takes milliseconds at
    N = 32, after numba has compiled it once.

    Args:
        size: Side N of the frame in pixels, or several.
        sigma: Spread of the bumps in pixels.
        spacing: Increment of the label lattice in pixels, or a pair (x, y).
        threshold: Overlap from which two bumps are linked, in (0, 1), or several.
        smallest: Smallest lambda, in (0, 1].
        points: Number of lambdas, evenly spaced in their logarithm.
        realisations: Number of random thinnings to average over.
        seed: Seed of the thinnings.

    Returns:
        One row per N, threshold and lambda: `size` (pixels), `threshold`, `subsample` (lambda),
        `samples_2d` (kept bumps), `mass_ratio` in [0, 1], its standard error `error`, and `low` and
        `high`, the ends of its 95 % interval. Lambdas that keep fewer than two bumps are left out.

    Raises:
        ValueError: A parameter is out of its range.

    Examples:
        >>> import factorlab.api as fl
        >>> curve = fl.percolation(8, sigma=1.0, realisations=20)
        >>> float(curve["mass_ratio"].iloc[-1])  # all bumps of the lattice are linked
        1.0
    """
    import numpy as np

    from analysis.scaling.predictions import mass_ratio_table

    table = mass_ratio_table(
        _several(size),
        spacing=spacing,
        sigma=sigma,
        thresholds=_several(threshold),
        smallest=smallest,
        points=points,
        realisations=realisations,
        seed=seed,
    )
    half = _NORMAL * table["error"]
    low, high = table["mass_ratio"] - half, table["mass_ratio"] + half
    return table.assign(low=np.clip(low, 0, 1), high=np.clip(high, 0, 1))


_NORMAL = NormalDist().inv_cdf(0.975)
"""Half of a 95 % interval of a normal distribution, in standard errors."""


def predictions(
    sizes: int | Sequence[int],
    sigma: float,
    *,
    spacing: Spacing = 0.5,
    threshold: float | Sequence[float] = 0.5,
    level: float = 0.6,
    realisations: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict the number of examples at which overlapping bumps form one large cluster.

    Args:
        sizes: Sides N of the frames in pixels.
        sigma: Spread of the bumps in pixels.
        spacing: Increment of the label lattice in pixels, or a pair (x, y).
        threshold: Overlap from which two bumps are linked, in (0, 1), or several.
        level: Share of the kept bumps in the largest cluster, in (0, 1].
        realisations: Number of random thinnings to average over.
        seed: Seed of the thinnings.

    Returns:
        One row per threshold and N: `threshold`, `size` (pixels), `value` (examples; NaN if even
        the whole lattice is below the level), its standard error `error`, `low` and `high` (95 %
        interval), and `sites` (bumps of the whole lattice).

    Raises:
        ValueError: A parameter is out of its range.

    Examples:
        >>> import factorlab.api as fl
        >>> found = fl.predictions([8, 16], sigma=1.0, realisations=20)
        >>> bool(found["value"].iloc[1] > found["value"].iloc[0])
        True
        >>> fl.exponents(found)["sizes"].tolist()
        ['8 16']
    """
    from analysis.scaling.predictions import predictions_table

    table = predictions_table(
        _several(sizes),
        spacing=spacing,
        sigma=sigma,
        thresholds=_several(threshold),
        level=level,
        realisations=realisations,
        seed=seed,
    )
    half = _NORMAL * table["error"]
    return table.assign(low=table["value"] - half, high=table["value"] + half)


def _labelled(table: pd.DataFrame, keys: Sequence[str], values: Sequence[Any]) -> pd.DataFrame:
    """Return a table with the settings that it is for as its first columns."""
    for place, (key, value) in enumerate(zip(keys, values, strict=True)):
        table.insert(place, key, [value] * len(table))
    return table


def _several(value: Any) -> list[Any]:  # noqa: ANN401 - a number or several
    return [*value] if hasattr(value, "__iter__") else [value]
