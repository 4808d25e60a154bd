"""Number of samples at which accuracy crosses a level, with an interval.

**Fit.** Accuracies are averaged at each sample count, made monotone by isotonic regression
(weights: trials at the count). Between two counts the curve is taken to be logistic in
log(samples), that is, its log-odds are joined by a straight line; where it saturates, accuracies
below 2 % and above 98 % count as these. The crossing is the smallest count at which the curve
reaches the level. Nothing is extrapolated. One logistic curve for all counts was the alternative;
with five to seven counts, of which several saturate, its slope and its two plateaus are not all
determined, and curves that saturate below 100 % bias it.

**Interval.** With two or three trials at a count, resampling the trials of that count alone
gives intervals that are far too short. The spread is therefore estimated from all counts
together: a trial's deviation from its count's mean is divided by `p (1 - p)`, with p the fitted
accuracy, because a trial that learns a little earlier or later shifts its curve along
log(samples), and `p (1 - p)` is how steep a logistic curve is there. The deviations of counts
with p between 0.1 and 0.9 form one pool (where there are none, those of all counts), from which
every count draws as many as it has trials; each replicate is fitted as the data were. The
deviations are widened by `sqrt(n / (n - 1))` for the mean that was subtracted and by Student's t
over the normal quantile for the few of them there are. Design and pool are our definition.
On synthetic logistic curves with six or seven counts and two or three trials each, under noise
proportional to `sqrt(p (1 - p))` or a jitter in log(samples), the 95 % interval held the true
crossing in 90 to 99 % of cases; resampling within counts alone held it in 47 to 86 %.

**Replicates that do not cross** count as lying below the smallest, or above the largest,
measured count. They stay in the ranking from which the interval is read; an interval whose end
falls among them is open at that end, and `low` or `high` is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import isotonic_regression
from scipy.special import logit

# Fitted accuracies between which a count tells something about the spread of trials.
_INFORMATIVE = (0.1, 0.9)
# Keeps log-odds finite, and the scale p (1 - p) away from zero, where the accuracy saturates.
_SATURATED = 0.02


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Where a curve of accuracy against samples crosses a level."""

    value: float | None
    """Number of samples, or None if the level is not crossed in the measured range."""

    low: float | None
    """Lower end of the 95 % interval; None if open, or if there is no interval."""

    high: float | None
    """Upper end of the 95 % interval; None if open, or if there is no interval."""

    reason: str
    """Why there is no value, or what is wrong with the interval; empty if nothing is."""

    smallest: float
    """Smallest measured number of samples."""

    largest: float
    """Largest measured number of samples."""

    replicates: NDArray[np.float64]
    """Crossings of the bootstrap replicates, shape (resamples,); -inf below the smallest count,
    inf above the largest; empty if no count has two trials."""

    @property
    def crossed(self) -> float:
        """Share of the replicates that cross within the measured range; NaN without any."""
        return float(np.isfinite(self.replicates).mean()) if self.replicates.size else math.nan


def crossing(
    samples: ArrayLike,
    accuracy: ArrayLike,
    *,
    level: float = 0.6,
    seed: int | Sequence[int] = 0,
    resamples: int = 2000,
) -> Crossing:
    """Number of samples at which accuracy crosses a level ([F] Fig 5c: 60 %).

    The method is described at the head of this module.

    Args:
        samples: Number of samples of each trial, positive, shape (trials,).
        accuracy: Accuracy of each trial in [0, 1], shape (trials,).
        level: Accuracy to be crossed, strictly between 0 and 1.
        seed: Seed of the bootstrap; crossings to be compared need different ones.
        resamples: Bootstrap replicates, at least 40 so that a 95 % interval has ends.

    Returns:
        The crossing and its interval; see `Crossing`.

    Raises:
        ValueError: An argument is out of its range, or the two arrays do not match.
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
    """Distinct counts, their mean accuracies, numbers of trials, and the trials' deviations."""
    x, y = np.asarray(samples, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size == 0:
        raise ValueError(
            f"samples has shape {x.shape} and accuracy {y.shape}, but both must list the same "
            "trials, at least one."
        )
    if not (np.isfinite(x).all() and (x > 0).all()):
        raise ValueError(f"samples holds {x.min()}, but every count must be positive and finite.")
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError("accuracy holds a value that is not a share in [0, 1].")
    count = np.unique(x)
    groups = [y[x == value] for value in count]
    mean = np.array([group.mean() for group in groups])
    trials = np.array([group.size for group in groups], dtype=np.int64)
    return count, mean, trials, [group - group.mean() for group in groups]


def _monotone(means: NDArray[np.float64], trials: NDArray[np.int64]) -> NDArray[np.float64]:
    """Isotonic regression of each row, shape (rows, counts)."""
    fits = [isotonic_regression(row, weights=trials).x for row in means]
    return np.array(fits, dtype=np.float64).reshape(means.shape)


def _crossings(
    fitted: NDArray[np.float64], log_count: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Smallest count at which each row reaches the level, shape (rows,).

    -inf stands for a row above the level from the start, inf for one below it to the end.
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
    # Equal at the first count: the crossing is there, and was seen.
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
    """Bootstrap noise of the mean at each count, shape (resamples, counts).

    Without two trials at any count there is nothing to draw from, and the shape is (0, counts).
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
    """95 % interval by ranks, and what is wrong with it.

    Ranks rather than interpolated percentiles, because some replicates may be infinite.
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
