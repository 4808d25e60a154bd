"""Posterior of a power law, samples = prefactor * N^exponent, from the posteriors of crossings.

**Model.** The logarithm of the crossing at each N lies on a straight line in log(N), up to a normal
scatter of unknown size, which stands for everything that the line leaves out: effects of small N,
and training that suits one N better than another. Each crossing is known with the density of its
posterior. The posterior of the exponent and the scatter is computed on a grid, without sampling, so
the same crossings give the same numbers.

**Priors.** The exponent is uniform from -2 to 6, the prefactor uniform in its logarithm. The
scatter is half-normal with a scale of 0.15 in log(samples), that is 15 %: three or four N cannot
tell it (our choice). With four N whose crossings are known to 7.5 %, the 95 % interval holds the
exponent in 100, 92 and 90 % of simulations with a scatter of 10, 16 and 20 %.

The model is our definition. `make bench-threshold_search` measures how often its intervals hold the
exponent after simulated searches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Floats = NDArray[np.float64]

_EXPONENTS = np.arange(-2, 6.001, 0.01)
_SCATTERS = np.array([0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4])
_SCATTER_SCALE = 0.15
_LEVELS = 161  # values of the line at the mean of log(N), on the grid
_REACH = 1.2  # a scattered crossing is followed so far beyond the points of its density
_TINY = 1e-12  # density where a posterior has none


@dataclass(frozen=True, kw_only=True)
class CrossingDensity:
    """Posterior of the crossing at one N."""

    size: int
    """Side N of the frame in pixels."""

    points: Floats
    """Evenly spaced log(samples), shape (points,)."""

    density: Floats
    """Posterior density at the points, shape (points,)."""


@dataclass(frozen=True)
class PowerLaw:
    """Posterior of an exponent."""

    exponents: Floats
    """Evenly spaced exponents, shape (exponents,)."""

    weights: Floats
    """Posterior probability of each, shape (exponents,)."""

    prefactor: float
    """Samples at N = 1 on the line of the median exponent."""

    @property
    def value(self) -> float:
        """The median of the exponent."""
        return self.quantile(0.5)

    def interval(self, mass: float = 0.95) -> tuple[float, float]:
        """Return the central interval with some probability."""
        return self.quantile((1 - mass) / 2), self.quantile((1 + mass) / 2)

    def quantile(self, probability: float) -> float:
        """Return the exponent below which a probability lies."""
        cumulated = np.cumsum(self.weights)
        middle = cumulated - self.weights / 2
        return float(np.interp(probability, middle, self.exponents))

    def odds(self, exponent: float, other: float) -> float:
        """Return how many times more likely the crossings are with one exponent than with another.

        This is the Bayes factor of two laws with fixed exponents, such as 2 against 1.
        """
        first, second = np.interp([exponent, other], self.exponents, self.weights)
        return float(first / max(second, 1e-300))


def fit_power_law(crossings: Sequence[CrossingDensity], *, exact: bool = False) -> PowerLaw:
    """Fit the exponent of crossings at two or more N.

    Args:
        crossings: Posterior of the crossing at each N.
        exact: Whether the crossings are assumed to follow the law up to 1 %.

    Returns:
        The posterior of the exponent.

    Raises:
        ValueError: There are fewer than two different N.
    """
    if len({one.size for one in crossings}) < 2:
        raise ValueError("a power law needs crossings at two N.")
    log_size = np.log([one.size for one in crossings])
    offset = log_size - log_size.mean()
    means = np.array([one.points @ one.density / one.density.sum() for one in crossings])
    centre = float(means.mean())
    spread = max(1.0, float(np.abs(means - centre).max()) / 2)
    levels = centre + np.linspace(-spread, spread, _LEVELS)
    lines = levels[:, None] + _EXPONENTS[:, None, None] * offset  # (exponents, levels, sizes)
    scatters = _SCATTERS[:1] if exact else _SCATTERS
    prior = np.exp(-0.5 * (scatters / _SCATTER_SCALE) ** 2)
    if not exact:
        prior *= np.gradient(scatters)
    logs = np.stack(
        [
            sum(np.log(_scattered(one, scatter, lines[..., i])) for i, one in enumerate(crossings))
            for scatter in scatters
        ]
    )  # (scatters, exponents, levels)
    joint = np.exp(logs - logs.max()) * prior[:, None, None]
    weights = joint.sum(axis=(0, 2))
    weights /= weights.sum()
    line = PowerLaw(_EXPONENTS, weights, 1.0)
    near = int(np.abs(_EXPONENTS - line.value).argmin())
    at = joint[:, near].sum(axis=0)
    middle = float(levels @ at / at.sum())
    return PowerLaw(_EXPONENTS, weights, math.exp(middle - line.value * log_size.mean()))


def _scattered(one: CrossingDensity, scatter: float, at: Floats) -> Floats:
    """Return the density of a crossing, with a scatter about the line, at some log(samples)."""
    step = float(one.points[1] - one.points[0])
    pad = math.ceil(_REACH / step)
    points = one.points[0] + step * np.arange(-pad, len(one.points) + pad)
    density = gaussian_filter1d(np.pad(one.density, pad), scatter / step, mode="constant")
    return np.asarray(np.interp(at, points, density, left=0.0, right=0.0) + _TINY)
