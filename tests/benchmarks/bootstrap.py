"""The interval of a crossing by a monotone fit and bootstrap, as a grid is usually judged.

Accuracies are averaged at each position and made monotone by isotonic regression; log-odds are
interpolated linearly. Each bootstrap replicate adds to each mean deviations drawn from those of the
informative trials, divided by ``p (1 - p)``, and is fitted like the data.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import isotonic_regression
from scipy.special import logit

# Range of fitted accuracies in which a count is informative about the spread of trials.
_INFORMATIVE = (0.1, 0.9)
_SATURATED = 0.02


def replicates(
    samples: ArrayLike, accuracy: ArrayLike, *, level: float, resamples: int
) -> NDArray[np.float64]:
    """Return the crossings of bootstrap replicates, shape (resamples,); infinite if none."""
    count, mean, trials, deviation = _by_count(samples, accuracy)
    fitted = _monotone(mean[None], trials)
    noise = _noise(fitted[0], trials, deviation, resamples, np.random.default_rng(0))
    return _crossings(_monotone(mean + noise, trials), np.log(count), level)


def _by_count(
    samples: ArrayLike, accuracy: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], list[NDArray[np.float64]]]:
    """Group trials by sample count.

    Returns:
        Distinct counts, mean accuracies and numbers of trials, each of shape (counts,), and the
        deviations of the trials from the mean, one array of shape (trials,) per count.
    """
    x, y = np.asarray(samples, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
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
