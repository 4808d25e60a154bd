"""Estimates with 95 % intervals: of means over runs, of shares of runs, and of slopes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
"""Probability with which an interval contains the true value."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    """Lower end of the 95 % interval; -inf if there are too few runs for one."""

    high: float
    """Upper end; inf if there are too few runs for one."""

    runs: int
    """Number of runs behind each mean. The interval narrows as its square root."""

    def __neg__(self) -> "Estimate":
        return Estimate(-self.value, -self.high, -self.low, self.runs)

    def plus(self, constant: float) -> "Estimate":
        """Return the estimate of the quantity plus a known number."""
        return Estimate(self.value + constant, self.low + constant, self.high + constant, self.runs)

    def exp(self) -> "Estimate":
        """Return the estimate of a ratio from that of its logarithm."""
        value, low, high = (float(np.exp(end)) for end in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.runs)

    def runs_to_exclude(self, bound: float) -> float:
        """Return about how many runs it takes until the interval excludes a number.

        It is assumed that the value and the scatter of the runs stay. The interval narrows as the
        square root of the number of runs and with Student's t. Infinite if the value is the number,
        or if there is no interval.
        """
        distance = abs(self.value - bound)
        half = self.high - self.value if self.value < bound else self.value - self.low
        if not (math.isfinite(half) and distance > 0):
            return math.inf
        if half <= distance or self.runs < 2:
            return float(self.runs)
        scatter = half * math.sqrt(self.runs) / _quantile(self.runs)
        most = math.ceil((half / distance) ** 2 * self.runs)  # without the narrowing of t
        fewer, enough = self.runs, most
        while enough - fewer > 1:
            middle = (fewer + enough) // 2
            if _quantile(middle) * scatter / math.sqrt(middle) <= distance:
                enough = middle
            else:
                fewer = middle
        return float(enough)


def _quantile(runs: int) -> float:
    """Return the quantile of Student's t for an interval of a mean over runs."""
    return float(stats.t.ppf((1 + LEVEL) / 2, runs - 1))


def of_draws(draws: NDArray[np.float64], runs: int) -> Estimate:
    """Return the mean and the central interval of draws from a posterior.

    Args:
        draws: Draws, shape (draws,).
        runs: Number of runs behind each mean.
    """
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(float(draws.mean()), float(low), float(high), runs)


def of_mean(values: ArrayLike, level: float = LEVEL) -> Estimate:
    """Estimate the mean of a quantity from its value in each run, by Student's t.

    Args:
        values: The values, shape (runs,), at least one; the interval of one is infinite.
        level: Probability with which the interval contains the mean.
    """
    found = np.asarray(values, dtype=float)
    mean, count = float(found.mean()), len(found)
    if count < 2:
        return Estimate(mean, -math.inf, math.inf, count)
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * found.std(ddof=1) / math.sqrt(count))
    return Estimate(mean, mean - half, mean + half, count)


def of_difference(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Estimate the mean of the second group less that of the first, by Welch's t.

    Args:
        first: Values in the first group, shape (runs,), at least one.
        second: Values in the second, shape (other runs,), at least one.
    """
    one, other = (np.asarray(values, dtype=float) for values in (first, second))
    value, runs = float(other.mean() - one.mean()), min(len(one), len(other))
    if runs < 2:
        return Estimate(value, -math.inf, math.inf, runs)
    # By hand, since scipy warns of a group without spread.
    parts = np.array([group.var(ddof=1) / len(group) for group in (one, other)])
    if not parts.any():
        return Estimate(value, value, value, runs)
    free = parts.sum() ** 2 / (parts**2 / [len(one) - 1, len(other) - 1]).sum()
    half = float(stats.t.ppf((1 + LEVEL) / 2, free) * math.sqrt(parts.sum()))
    return Estimate(value, value - half, value + half, runs)


def of_share(count: int, runs: int) -> Estimate:
    """Estimate the probability of an event from the number of runs in which it occurred.

    The interval is that of the posterior with Jeffreys' prior.
    """
    posterior = stats.beta(count + 0.5, runs - count + 0.5)
    low, high = posterior.interval(LEVEL)
    return Estimate(count / runs, float(low), float(high), runs)


def of_slope(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """Estimate the slope of a straight line through single runs, by least squares.

    Args:
        x: Position of each run, at least two different ones.
        y: Value of each run.
    """
    fit = stats.linregress(x, y)
    runs, free = len(x) // len(set(x)), len(x) - 2
    if free < 1:
        return Estimate(float(fit.slope), -math.inf, math.inf, runs)
    half = float(stats.t.ppf((1 + LEVEL) / 2, free) * fit.stderr)
    return Estimate(float(fit.slope), float(fit.slope - half), float(fit.slope + half), runs)
