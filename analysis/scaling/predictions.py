"""Tables of percolation predictions for the data sets of a scaling experiment.

The lattice of 2D centres runs from 1 to N in steps of the spacing. Two bumps are linked if their
continuum overlap exceeds a threshold ([F] Figs 6, 13, 14).
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from percolation import Link, critical_fraction, lattice_links, mass_ratio, predict_samples

Spacing = float | tuple[float, ...]


def mass_ratio_table(
    sizes: Sequence[int],
    *,
    spacing: Spacing,
    sigma: float,
    thresholds: Sequence[float],
    smallest: float,
    points: int = 40,
    realisations: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute the largest-cluster mass ratio against lambda.

    Lambdas are evenly spaced on a logarithmic scale. Lambdas that keep a single site are left out,
    as its mass ratio of 1 is meaningless.

    Args:
        sizes: Sides N of the frames in pixels.
        spacing: Lattice increment in pixels, or (d_x, d_y).
        sigma: Spread of the bumps in pixels.
        thresholds: Overlaps above which two bumps are linked.
        smallest: Smallest lambda, in (0, 1].
        points: Number of lambdas per curve.
        realisations: Number of random thinnings to average over.
        seed: Seed of the thinnings.

    Returns:
        A table with the columns `size`, `threshold`, `subsample` (lambda), `samples_2d`,
        `mass_ratio` (size of the largest cluster over the number of kept sites) and `error`
        (standard error over realisations).

    Raises:
        ValueError: A parameter is out of its range.
    """
    if not 0 < smallest <= 1:
        raise ValueError(f"smallest is {smallest}, but a lambda must lie in (0, 1].")
    parts = []
    for size in sizes:
        for threshold in thresholds:
            links = lattice_links(size, spacing, Link(sigma=sigma, threshold=threshold))
            fractions = np.geomspace(smallest, 1, points)
            curve = mass_ratio(links, fractions.tolist(), realisations=realisations, seed=seed)
            parts.append(
                pd.DataFrame(
                    {
                        "size": size,
                        "threshold": threshold,
                        "subsample": curve.fraction,
                        "samples_2d": curve.sites_kept.astype(int),
                        "mass_ratio": curve.mass_ratio_kept,
                        "error": curve.kept_error,
                    }
                )
            )
    columns = ["size", "threshold", "subsample", "samples_2d", "mass_ratio", "error"]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    return table[table["samples_2d"] >= 2].reset_index(drop=True)


def critical_table(
    *,
    spacing: Spacing,
    sigma: float,
    thresholds: Sequence[float],
    realisations: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    """Estimate the critical fraction lambda_c of the infinite lattice for each threshold.

    Args:
        spacing: Lattice increment in pixels, or (d_x, d_y).
        sigma: Spread of the bumps in pixels.
        thresholds: Overlaps above which two bumps are linked.
        realisations: Number of passes over a torus per estimate.
        seed: Seed of the passes.

    Returns:
        A table with the columns `threshold`, `critical`, `error` (standard error) and
        `neighbours`. It has no row for a threshold that links no two bumps, and no rows if the
        two increments differ.

    Raises:
        ValueError: A parameter is out of its range.
    """
    columns = ["threshold", "critical", "error", "neighbours"]
    step, *others = set(np.atleast_1d(spacing).tolist())
    if others:
        return pd.DataFrame(columns=columns)
    rows = []
    for threshold in thresholds:
        found = critical_fraction(sigma, threshold, step, realisations=realisations, seed=seed)
        if found is not None:
            rows.append((threshold, found.value, found.error, found.neighbours))
    return pd.DataFrame(rows, columns=columns)


def predictions_table(
    sizes: Sequence[int],
    *,
    spacing: Spacing,
    sigma: float,
    thresholds: Sequence[float],
    level: float = 0.6,
    realisations: int = 50,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict the samples at which the largest cluster holds a given share of the kept bumps.

    Args:
        sizes: Sides N of the frames in pixels.
        spacing: Lattice increment in pixels, or (d_x, d_y).
        sigma: Spread of the bumps in pixels.
        thresholds: Overlaps above which two bumps are linked.
        level: Share of the kept bumps in the largest cluster.
        realisations: Number of random thinnings to average over.
        seed: Seed of the thinnings.

    Returns:
        A table with the columns `threshold`, `size`, `value` (samples; NaN if the whole lattice
        is below the level), `error` (standard error over realisations) and `sites` (of the whole
        lattice).

    Raises:
        ValueError: A parameter is out of its range.
    """
    rows = []
    for threshold in thresholds:
        for size in sizes:
            found = predict_samples(
                size,
                spacing,
                sigma=sigma,
                threshold=threshold,
                level=level,
                realisations=realisations,
                seed=seed,
            )
            value = math.nan if found.value is None else found.value
            error = math.nan if found.error is None else found.error
            rows.append((threshold, size, value, error, found.sites))
    return pd.DataFrame(rows, columns=["threshold", "size", "value", "error", "sites"])


def prediction_exponents_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Fit the exponent of the predictions against N, by least squares of both logarithms.

    The interval propagates the standard errors of the predictions into the slope (first order). It
    measures how well the simulation is averaged, not how well a power law fits: at small N the
    reach of a link is not small compared to the frame.

    Args:
        predictions: A table returned by `predictions_table`.

    Returns:
        A table with the columns `threshold`, `sizes` (the N used), `exponent`, `low`, `high` and
        `prefactor`; NaN if fewer than two N have a prediction.
    """
    rows = []
    for threshold, group in predictions.groupby("threshold"):
        used = group[group["value"].notna()]
        sizes = " ".join(str(size) for size in used["size"])
        if len(used) < 2:
            rows.append((threshold, sizes, *[math.nan] * 4))
            continue
        x, y = np.log(used["size"].to_numpy(float)), np.log(used["value"].to_numpy(float))
        weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        slope = float(weight @ y)
        relative = used["error"].to_numpy(float) / used["value"].to_numpy(float)
        half = float(stats.norm.ppf(0.975) * np.sqrt(((weight * relative) ** 2).sum()))
        prefactor = math.exp(float(y.mean() - slope * x.mean()))
        rows.append((threshold, sizes, slope, slope - half, slope + half, prefactor))
    columns = ["threshold", "sizes", "exponent", "low", "high", "prefactor"]
    return pd.DataFrame(rows, columns=columns)
