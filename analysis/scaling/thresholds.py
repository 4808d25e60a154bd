"""Number of samples at which accuracy crosses a level, with an interval.

**Estimate.** The posterior of the crossing (`analysis.scaling.posterior`): accuracy is logistic in
log(samples), runs of different seeds scatter, and the curve may end below 100 % or start above 0 %.
The value is the median, and the interval the central 95 %. Runs may have any numbers of samples,
with one seed each or several, from a grid or from a search.

**Check.** A monotone fit that assumes no shape: accuracies are averaged at each number of samples
and made monotone by isotonic regression, weighted by the number of trials. Between two numbers, the
log-odds are interpolated linearly in log(samples); accuracies below 2 % or above 98 % are clipped
to these values. If its crossing lies outside the central 99.9 % of the posterior, the result says
so: accuracy is then not logistic, or not monotone.

Nothing is extrapolated: a crossing outside the measured numbers of samples has no value, and an end
of the interval outside of them is open. Nor has a curve a value whose monotone fit does not cross,
for example since it ends just below the level.

Both are our definition. The tests measure how often intervals of grids hold the truth, and
`make bench-threshold_search` those of searches.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from analysis.scaling.posterior import CrossingPosterior

WIDTHS = (0.08, 2.5)
"""Narrowest and widest transition that are considered, in log(samples). Those of the scaling
experiment are 0.3 to 0.6 wide."""

_BEYOND = 1.0  # the prior is uniform at least so far beyond the measured numbers, in log(samples)
_STEP = 0.01  # distance of the points of `Crossing.density`, in log(samples)

# Clips saturated accuracies to keep log-odds finite.
_SATURATED = 0.02


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Where a curve of accuracy against samples crosses a level."""

    value: float | None
    """Number of samples; None if the level is not crossed in the measured range."""

    low: float | None
    """Lower end of the 95 % interval; None if open."""

    high: float | None
    """Upper end of the 95 % interval; None if open."""

    monotone: float | None
    """Crossing of the monotone fit; None if it does not cross in the measured range."""

    reason: str
    """Why there is no value, why the interval is open, or that the monotone fit contradicts it;
    empty otherwise."""

    smallest: float
    """Smallest measured number of samples."""

    largest: float
    """Largest measured number of samples."""

    points: NDArray[np.float64]
    """Evenly spaced log(samples), shape (points,)."""

    density: NDArray[np.float64]
    """Posterior density at the points, shape (points,)."""

    outside: float
    """Probability that the crossing lies outside the measured range."""

    side: Literal["", "below", "above"] = ""
    """Where the median of the posterior lies if it is outside: below the smallest measured number,
    or above the largest."""


def crossing(samples: ArrayLike, accuracy: ArrayLike, *, level: float = 0.6) -> Crossing:
    """Estimate the number of samples at which accuracy crosses a level ([F] Fig 5c: 60 %).

    The module docstring describes the method.

    Args:
        samples: Number of samples of each trial, positive, shape (trials,).
        accuracy: Accuracy of each trial in [0, 1], shape (trials,).
        level: Accuracy to be crossed, from 0.04 to 0.96.

    Returns:
        The crossing and its interval; see `Crossing`.

    Raises:
        ValueError: An argument is out of its range, or the shapes of the arrays do not match.
    """
    x, y = _checked(samples, accuracy)
    position = np.log(x)
    ends = float(position.min()), float(position.max())
    posterior = posterior_between(*ends, level=level)
    order = np.lexsort((y, x))  # the order of the rows makes no difference, not even in rounding
    for place, share in zip(position[order].tolist(), y[order].tolist(), strict=True):
        posterior.observe(place, share)
    central, wide = posterior.interval(0.95), posterior.interval(0.999)
    below, above = posterior.probability_below(ends[0]), 1 - posterior.probability_below(ends[1])
    fitted = monotone_crossing(x, y, level=level)
    value: float | None = math.exp(central.middle)
    low = None if central.low < ends[0] else math.exp(central.low)
    high = None if central.high > ends[1] else math.exp(central.high)
    open_ends = [name for name, end in (("below", low), ("above", high)) if end is None]
    reason = f"interval open {' and '.join(open_ends)}" if open_ends else ""
    side: Literal["", "below", "above"] = ""
    if central.middle < ends[0]:
        side, at = "below", f"above {100 * level:g} % already at the smallest measured count"
        reason = f"{_surely(below)}{at}, {x.min():g}"
    elif central.middle > ends[1]:
        side, at = "above", f"below {100 * level:g} % up to the largest measured count"
        reason = f"{_surely(above)}{at}, {x.max():g}"
    elif fitted is None:
        reason = f"a monotone fit does not cross {100 * level:g} %"
    if side or fitted is None:
        value, low, high = None, None, None
    if fitted is not None and not wide.low <= math.log(fitted) <= wide.high:
        note = f"a monotone fit crosses at {fitted:.3g}: look at the trials"
        reason = f"{reason}; {note}" if reason else note
    points = np.arange(*posterior.support, _STEP)
    return Crossing(
        value=value,
        low=low,
        high=high,
        monotone=fitted,
        reason=reason,
        smallest=float(x.min()),
        largest=float(x.max()),
        points=points,
        density=posterior.density(points),
        outside=max(0.0, below + above),
        side=side,
    )


def _surely(probability: float) -> str:
    """Return how sure a statement is, as its first words; empty if there is hardly a doubt."""
    return "" if probability > 0.995 else f"probably ({math.floor(100 * probability)} %) "


def posterior_between(low: float, high: float, *, level: float = 0.6) -> CrossingPosterior:
    """Return the posterior of a crossing before any run, for accuracies of about 400 labels.

    Fewer labels make the error of a single accuracy larger, which is then taken for scatter of the
    runs.

    Args:
        low: Smallest number of samples that will be observed, as a logarithm.
        high: Largest one.
        level: Accuracy to be crossed, from 0.04 to 0.96.
    """
    return CrossingPosterior(low - _BEYOND, high + _BEYOND, level=level, widths=WIDTHS)


def monotone_crossing(
    samples: ArrayLike, accuracy: ArrayLike, *, level: float = 0.6
) -> float | None:
    """Return the smallest number of samples at which a monotone fit reaches a level.

    Args:
        samples: Number of samples of each trial, positive, shape (trials,).
        accuracy: Accuracy of each trial in [0, 1], shape (trials,).
        level: Accuracy to be crossed, strictly between 0 and 1.

    Returns:
        The number; None if the fit starts above the level or stays below it.

    Raises:
        ValueError: An argument is out of its range, or the shapes of the arrays do not match.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - half a second, at every start

    x, y = _checked(samples, accuracy)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but it must lie strictly between 0 and 1.")
    count, place, trials = np.unique(x, return_inverse=True, return_counts=True)
    fitted = isotonic_regression(np.bincount(place, y) / trials, weights=trials).x
    reached = np.flatnonzero(fitted >= level)
    if not len(reached) or fitted[0] > level:
        return None
    after = int(reached[0])
    if after == 0:
        return float(count[0])
    floor, roof = min(_SATURATED, level / 2), max(1 - _SATURATED, (1 + level) / 2)
    odds = logit(np.clip(fitted[after - 1 : after + 1], floor, roof))
    share = (logit(level) - odds[0]) / (odds[1] - odds[0])
    return float(count[after - 1] ** (1 - share) * count[after] ** share)


def _checked(
    samples: ArrayLike, accuracy: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both arrays after checking shapes and ranges."""
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
    return x, y
