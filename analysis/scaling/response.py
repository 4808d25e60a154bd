"""Shapes of accuracy curves near a crossing, and what single runs then measure.

**Curve.** Accuracy is logistic in the position, for example in log(samples), between a floor and a
ceiling. A run that learns earlier or later shifts its own curve. With the shift in units of the
slope's width, a run at a distance v from the crossing, in the same unit, has the accuracy::

    floor + (ceiling - floor) * expit(v + offset - shift),   shift ~ Normal(0, noise)

The offset makes the mean over runs cross the level at v = 0. The accuracy that is measured on a
number of labels has a binomial error on top.

**Outliers.** A share `OUTLIERS` of runs measures anything between 0 and 1, for example because it
did not learn at all. Without them, one such run would move an estimate by any amount.

The model is our definition. The values of the grid cover the laptop profile of the scaling
experiment, whose runs have a noise of 0.3 to 0.6.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

Floats = NDArray[np.float64]

# Values of each parameter of a shape, and their prior weights.
_NOISE = (0.1, 0.2, 0.35, 0.6, 1.0, 1.7)
_NOISE_WEIGHTS = (0.4, 0.8, 1.0, 0.9, 0.5, 0.2)
_CEILING = (1.0, 0.95, 0.88, 0.78)
_CEILING_WEIGHTS = (0.5, 0.25, 0.15, 0.1)
_FLOOR = (0.0, 0.05, 0.12)
_FLOOR_WEIGHTS = (0.5, 0.3, 0.2)

OUTLIERS = 0.03
"""Share of runs that the curve does not describe."""

BINS = 41
"""Number of accuracies that are told apart; they are rounded to 1 / 40."""

_CELLS = 400  # of a run's own accuracy, before the error of measuring it
_COARSE = (0, 1, 3, 8, 14, 20, 26, 32, 37, 39)  # first bins of the wider bins of `coarse`
_CLOSE = 0.04  # smallest distance of the level from floor and ceiling

STEP = 0.1
"""Distance between two v of a table."""

REACH = 12.0
"""Largest distance v of a table. Curves are saturated there."""


@dataclass(frozen=True)
class Responses:
    """Probability of each accuracy, by distance from the crossing and by shape."""

    weights: Floats
    """Prior probability of each shape, shape (shapes,)."""

    fine: NDArray[np.float32]
    """Probability of each accuracy, rounded to 1 / 40, shape (distances, shapes, 41)."""

    coarse: NDArray[np.float32]
    """The same for ten wider ranges of accuracy, shape (distances, shapes, 10)."""

    mean: Floats
    """Mean accuracy, shape (distances, shapes)."""


def bin_of(accuracy: float) -> int:
    """Return the index of an accuracy in the last axis of `Responses.fine`."""
    return round(accuracy * (BINS - 1))


def _measured(labels: int) -> Floats:
    """Return the probability of each measured accuracy given a run's own, shape (cells, bins)."""
    own = (np.arange(_CELLS) + 0.5)[:, None] / _CELLS
    edges = np.concatenate([[-np.inf], (np.arange(BINS - 1) + 0.5) / (BINS - 1), [np.inf]])
    # The normal approximation of the binomial distribution.
    return np.diff(ndtr((edges - own) / np.sqrt(own * (1 - own) / labels)), axis=1)


@lru_cache(maxsize=8)
def responses(level: float, labels: int) -> Responses:
    """Tabulate what runs measure, for each distance and shape.

    Args:
        level: Accuracy at the crossing, strictly between 0 and 1.
        labels: Number of labels on which an accuracy is measured.

    Raises:
        ValueError: The level is too close to 0 or 1.
    """
    shapes = np.array(np.meshgrid(_NOISE, _CEILING, _FLOOR, indexing="ij")).reshape(3, -1)
    weights = np.einsum("i,j,k->ijk", _NOISE_WEIGHTS, _CEILING_WEIGHTS, _FLOOR_WEIGHTS).ravel()
    noise, ceiling, floor = shapes
    kept = (ceiling - _CLOSE >= level) & (floor + _CLOSE <= level)
    if not kept.any():
        raise ValueError(f"level is {level}, but it must be from {_CLOSE} to {1 - _CLOSE}.")
    noise, ceiling, floor, weights = (a[kept] for a in (noise, ceiling, floor, weights))
    v = np.linspace(-REACH, REACH, round(2 * REACH / STEP) + 1)
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(30)
    shifted = v[:, None, None] - noise[:, None] * nodes  # (distances, shapes, nodes)
    plain = floor + (ceiling - floor) * (expit(shifted) @ (node_weights / node_weights.sum()))
    # The mean curve without an offset crosses at some v, which becomes 0.
    offset = np.array([np.interp(level, plain[:, i], v) for i in range(len(noise))])
    # A run's own accuracy is at most `edges` if its shift is large enough.
    edges = np.linspace(0, 1, _CELLS + 1)
    share = np.clip((edges[:, None] - floor) / (ceiling - floor), 0, 1)  # (edges, shapes)
    with np.errstate(divide="ignore"):
        odds = logit(share).T
    below = ndtr((odds - v[:, None, None] - offset[:, None]) / noise[:, None])
    own = np.diff(below, axis=-1)  # (distances, shapes, cells)
    fine = (1 - OUTLIERS) * (own @ _measured(labels)) + OUTLIERS / BINS
    mean = np.stack([np.interp(v + o, v, plain[:, i]) for i, o in enumerate(offset)], axis=1)
    return Responses(
        weights=weights / weights.sum(),
        fine=fine.astype(np.float32),
        coarse=np.add.reduceat(fine, _COARSE, axis=-1).astype(np.float32),
        mean=mean,
    )
