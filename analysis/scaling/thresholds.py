"""Number of samples at which accuracy crosses a level, with a bootstrap interval.

**Fit.** Accuracies are averaged at each sample count and made monotone by isotonic regression,
weighted by the number of trials at a count. Between two counts the curve is assumed logistic in
log(samples): the log-odds are interpolated linearly. Saturated accuracies below 2 % or above 98 %
are clipped to these values. The crossing is the smallest count at which the curve reaches the
level. Nothing is extrapolated. The alternative was one logistic curve through all counts. With five
to seven counts, several of them saturated, the data do not determine its slope and both plateaus,
and curves that saturate below 100 % bias it.

**Interval.** With two or three trials per count, resampling within each count gives intervals that
are far too short. The spread is therefore estimated from all counts together:

1. The deviation of a trial from the mean of its count is divided by `p (1 - p)`, where p is the
   fitted accuracy. A trial that learns earlier or later shifts its curve along log(samples), and
   `p (1 - p)` is the slope of a logistic curve.
2. Deviations are widened by `sqrt(n / (n - 1))` for the subtracted mean of n trials, and by the
   ratio of Student's t to the normal quantile for their small number.
3. The deviations of all counts with p between 0.1 and 0.9 form one pool (all counts if there are
   none in this range). Each count draws from it one deviation per trial.
4. Each replicate is fitted like the data.

The design and the pool are our definition. The coverage was measured on synthetic logistic curves
with six or seven counts and two or three trials each, with noise proportional to `sqrt(p (1 - p))`
or a jitter in log(samples). The 95 % interval contained the true crossing in 90 to 99 % of cases;
resampling within counts contained it in 47 to 86 %.

**Replicates that do not cross** rank below the smallest or above the largest measured count. They
stay in the ranking that gives the interval. If an end of the interval falls among them, the
interval is open at that end, and `low` or `high` is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import isotonic_regression
from scipy.special import logit

# Range of fitted accuracies in which a count is informative about the spread of trials.
_INFORMATIVE = (0.1, 0.9)
# Clips saturated accuracies to keep log-odds finite and p (1 - p) away from zero.
_SATURATED = 0.02


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Where a curve of accuracy against samples crosses a level."""

    value: float | None
    """Number of samples; None if the level is not crossed in the measured range."""

    low: float | None
    """Lower end of the 95 % interval; None if open, or if there is no interval."""

    high: float | None
    """Upper end of the 95 % interval; None if open, or if there is no interval."""

    reason: str
    """Why there is no value, or why the interval is open or missing; empty otherwise."""

    smallest: float
    """Smallest measured number of samples."""

    largest: float
    """Largest measured number of samples."""

    replicates: NDArray[np.float64]
    """Crossings of the bootstrap replicates, shape (resamples,): -inf below the smallest count,
    inf above the largest. Empty if no count has two trials."""

    @property
    def crossed(self) -> float:
        """Share of the replicates that cross in the measured range; NaN without replicates."""
        return float(np.isfinite(self.replicates).mean()) if self.replicates.size else math.nan


def crossing(
    samples: ArrayLike,
    accuracy: ArrayLike,
    *,
    level: float = 0.6,
    seed: int | Sequence[int] = 0,
    resamples: int = 2000,
) -> Crossing:
    """Estimate the number of samples at which accuracy crosses a level ([F] Fig 5c: 60 %).

    The module docstring describes the method.

    Args:
        samples: Number of samples of each trial, positive, shape (trials,).
        accuracy: Accuracy of each trial in [0, 1], shape (trials,).
        level: Accuracy to be crossed, strictly between 0 and 1.
        seed: Seed of the bootstrap. Use different seeds for crossings that are compared.
        resamples: Number of bootstrap replicates, at least 40 to define a 95 % interval.

    Returns:
        The crossing and its interval; see `Crossing`.

    Raises:
        ValueError: An argument is out of its range, or the shapes of the arrays do not match.
    """
    count, mean, trials, deviation = _by_count(samples, accuracy)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but it must lie strictly between 0 and 1.")
    if resamples < 40:
        raise ValueError(f"resamples is {resamples}, but a 95 % interval needs at least 40.")
    log_count = np.log(count)
    fitted = _monotone(mean[None], trials)
    point = float(_crossings(fitted, log_count, level)[0])
    rng = np.random.default_rng(seed)
    noise = _noise(fitted[0], trials, deviation, resamples, rng)  # (resamples or 0, counts)
    replicates = _crossings(_monotone(mean + noise, trials), log_count, level)
    low, high, reason = _interval(replicates)
    if math.isinf(point):
        low, high = None, None
        reason = (
            f"above {100 * level:g} % already at the smallest measured count, {count[0]:g}"
            if point < 0
            else f"below {100 * level:g} % up to the largest measured count, {count[-1]:g}"
        )
    return Crossing(
        value=None if math.isinf(point) else point,
        low=low,
        high=high,
        reason=reason,
        smallest=float(count[0]),
        largest=float(count[-1]),
        replicates=replicates,
    )


def _by_count(
    samples: ArrayLike, accuracy: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], list[NDArray[np.float64]]]:
    """Group trials by sample count.

    Returns:
        Distinct counts, mean accuracies and numbers of trials, each of shape (counts,), and the
        deviations of the trials from the mean, one array of shape (trials,) per count.
    """
    x, y = np.asarray(samples, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size == 0:
        raise ValueError(
            f"samples has shape {x.shape} and accuracy {y.shape}, but both must have the same "
            "shape (trials,) with at least one trial."
        )
    if not (np.isfinite(x).all() and (x > 0).all()):
        raise ValueError(f"samples holds {x.min()}, but every count must be positive and finite.")
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError("accuracy holds a value outside [0, 1].")
    count = np.unique(x)
    groups = [y[x == value] for value in count]
    mean = np.array([group.mean() for group in groups])
    trials = np.array([group.size for group in groups], dtype=np.int64)
    return count, mean, trials, [group - group.mean() for group in groups]


def _monotone(means: NDArray[np.float64], trials: NDArray[np.int64]) -> NDArray[np.float64]:
    """Apply isotonic regression to each row, shape (rows, counts)."""
    fits = [isotonic_regression(row, weights=trials).x for row in means]
    return np.array(fits, dtype=np.float64).reshape(means.shape)


def _crossings(
    fitted: NDArray[np.float64], log_count: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Return the smallest count at which each row reaches the level, shape (rows,).

    The result is -inf for a row that starts above the level, and inf for a row that stays below it.
    """
    reached = fitted >= level
    after = reached.argmax(axis=1)  # (rows,) first count at or above the level
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(fitted))
    floor, roof = min(_SATURATED, level / 2), max(1 - _SATURATED, (1 + level) / 2)
    odds = logit(np.clip(fitted, floor, roof))
    rise = odds[rows, after] - odds[rows, before]
    needed = logit(level) - odds[rows, before]
    share = np.divide(needed, rise, out=np.zeros_like(rise), where=rise > 0)
    # A row equal to the level at the first count crosses there.
    result = np.exp(log_count[before] + share * (log_count[after] - log_count[before]))
    result[fitted[:, 0] > level] = -math.inf
    result[~reached.any(axis=1)] = math.inf
    return np.asarray(result, dtype=np.float64)


def _noise(
    fitted: NDArray[np.float64],
    trials: NDArray[np.int64],
    deviation: list[NDArray[np.float64]],
    resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw bootstrap noise of the mean at each count, shape (resamples, counts).

    The shape is (0, counts) if no count has two trials, as there is then no deviation to draw.
    """
    p = np.clip(fitted, _SATURATED, 1 - _SATURATED)
    scale = p * (1 - p)
    usable = trials > 1
    if not usable.any():
        return np.empty((0, len(fitted)))
    informative = usable & (fitted > _INFORMATIVE[0]) & (fitted < _INFORMATIVE[1])
    chosen = np.flatnonzero(informative if informative.any() else usable)
    freedom = int((trials[chosen] - 1).sum())
    widen = stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    pool = widen * np.concatenate(
        [deviation[i] * math.sqrt(trials[i] / (trials[i] - 1)) / scale[i] for i in chosen]
    )
    draws = [rng.choice(pool, (resamples, n)).mean(axis=1) for n in trials.tolist()]
    return np.stack(draws, axis=1) * scale


def _interval(
    replicates: NDArray[np.float64],
) -> tuple[float | None, float | None, str]:
    """Return the 95 % interval, and why it is open or missing.

    The ends are ranked values, not interpolated percentiles, as some replicates may be infinite.
    """
    if not replicates.size:
        return None, None, "no interval: one trial at every count"
    low, high = (
        float(value)
        for value in np.quantile(replicates, [0.025, 0.975], method="closest_observation")
    )
    ends = [name for name, end in (("below", low), ("above", high)) if math.isinf(end)]
    reason = f"interval open {' and '.join(ends)}" if ends else ""
    return (None if math.isinf(low) else low), (None if math.isinf(high) else high), reason
