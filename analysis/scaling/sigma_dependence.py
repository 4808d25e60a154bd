"""Whether percolation predicts how the examples needed depend on sigma.

Percolation has one free number, the overlap from which two bumps count as linked. It is fitted to
every second sigma and tested on the others, and the other way round. The rival predictor is
coverage: a label is learned if an example is near enough, at a distance that is fitted, too.
Distances do not depend on sigma, so coverage predicts the same number of examples for all of them.
In N both grow alike, which is why sigma decides. The test is our definition.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.scaling.thresholds import Crossing
from analysis.statistics.estimate import Estimate, of_draws

Floats = NDArray[np.float64]

FEWEST = 4
"""Fewest sigmas: two to fit and two to test."""

_DRAWS = 4000


@dataclass(frozen=True)
class SigmaTest:
    """Errors of both predictors on the sigmas that they were not fitted to.

    Errors are root mean squares of log(examples): 0.7 is a factor of two.
    """

    percolation: Estimate
    coverage: Estimate

    advantage: Estimate
    """Error of coverage less that of percolation."""

    thresholds: tuple[float, float]
    """Overlap thresholds fitted to the first, third, ... sigma and to the second, fourth, ..."""


def sigma_test(
    crossings: Mapping[float, Crossing], predicted: Mapping[float, Mapping[float, float]], runs: int
) -> SigmaTest:
    """Compare both predictors.

    Args:
        crossings: Measured crossing for each sigma, at least `FEWEST`.
        predicted: For each overlap threshold, the examples predicted at each of these sigmas.
        runs: Number of runs behind each point of the measured curves.

    Raises:
        ValueError: There are too few sigmas, or no threshold.
    """
    sigmas = sorted(crossings)
    if len(sigmas) < FEWEST or not predicted:
        raise ValueError(f"{len(sigmas)} sigmas and {len(predicted)} thresholds are too few.")
    thresholds = sorted(predicted)
    drawn = np.stack([_draws(crossings[s], place) for place, s in enumerate(sigmas)], axis=1)
    table = np.log([[predicted[t][s] for s in sigmas] for t in thresholds])
    squares, rivals = np.empty_like(drawn), np.empty_like(drawn)
    chosen = []
    for fold in (0, 1):
        fitted = np.arange(fold, len(sigmas), 2)
        tested = np.arange(1 - fold, len(sigmas), 2)
        misfit = ((drawn[:, None, fitted] - table[None, :, fitted]) ** 2).sum(axis=2)
        best = misfit.argmin(axis=1)
        squares[:, tested] = (drawn[:, tested] - table[best][:, tested]) ** 2
        rivals[:, tested] = (drawn[:, tested] - drawn[:, fitted].mean(axis=1, keepdims=True)) ** 2
        chosen.append(thresholds[int(np.bincount(best).argmax())])
    errors, others = (np.sqrt(found.mean(axis=1)) for found in (squares, rivals))
    return SigmaTest(
        percolation=of_draws(errors, runs),
        coverage=of_draws(others, runs),
        advantage=of_draws(others - errors, runs),
        thresholds=(chosen[0], chosen[1]),
    )


def _draws(crossing: Crossing, place: int) -> Floats:
    """Draw log(examples) from the posterior of a crossing, shape (draws,)."""
    weights = crossing.density / crossing.density.sum()
    rng = np.random.default_rng([0, place])
    return rng.choice(crossing.points, size=_DRAWS, p=weights)
