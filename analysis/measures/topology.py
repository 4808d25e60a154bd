"""Persistent homology of representations: numbers of pieces, loops and voids ([F] Fig 2b).

A circle has the Betti numbers (1, 1, 0). A torus, Clifford or in three dimensions, has (1, 2, 1).
If voids are computed, Rips complexes grow with the fourth power of the number of points. A
subsample therefore represents all points. It is chosen by farthest-point sampling, which covers a
surface evenly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from analysis.measures.pca import Principal, decompose

Floats = NDArray[np.float64]

# For loops and for voids: least ratio across the gap below the counted holes, and least persistence
# of a counted hole as a share of the scale.
_GAPS = ((1.5, 0.1), (2.0, 0.05))

# Maximum number of loops or voids.
_MOST = 5

# Points of a subsample. With 200, the void of a torus is clear, and a measurement takes a second.
SAMPLE = 200

# Filtration limit as a share of the scale. A hole still open there dies at the limit. All holes of
# the spaces above are born before it. Without the limit complexes are six times as expensive.
LIMIT = 0.7


@dataclass(frozen=True, kw_only=True)
class Persistence:
    """Persistence diagrams of a subsample."""

    diagrams: tuple[Floats, ...]
    """Birth and death distances of the holes, one array of shape (holes, 2) per dimension from 0
    up, in the unit of the points. A hole that is still open at the limit dies there."""

    spacing: float
    """Largest distance from any point to the nearest point of the subsample."""

    scale: float
    """Enclosing radius of the subsample: the distance at which all holes are closed."""


@dataclass(frozen=True, kw_only=True)
class Betti:
    """Betti number of one dimension, by the rule of `betti`."""

    number: int
    """The Betti number."""

    confidence: float
    """Confidence from 0 to 1: 1 - a / b, where a is the longest persistence that is not counted,
    and b the shortest that is counted, or the least countable one if none is."""


def farthest_points(points: NDArray[np.floating], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Choose a subsample by farthest-point sampling.

    Each point has the largest possible distance to all points chosen before it.

    Args:
        points: Points, shape (samples, features).
        count: Number of points to choose; all if there are fewer.
        seed: Seed of the first point.

    Returns:
        Indices of the chosen points, shape (min(count, samples),).
    """
    first = int(np.random.default_rng(seed).integers(len(points)))
    chosen, nearest = [first], cdist(points[[first]], points)[0]
    while len(chosen) < min(count, len(points)):
        chosen.append(int(nearest.argmax()))
        np.minimum(nearest, cdist(points[[chosen[-1]]], points)[0], out=nearest)
    return np.array(chosen)


def persistence(
    points: NDArray[np.floating] | Principal,
    *,
    max_dim: int = 2,
    seed: int = 0,
    sample: int = SAMPLE,
    limit: float = LIMIT,
) -> Persistence:
    """Compute the persistent homology of the Rips complexes of a subsample with ripser.

    Args:
        points: Representations, shape (samples, features), or their principal components.
        max_dim: Largest dimension of a hole: 0 for pieces, 1 for loops, 2 for voids.
        seed: Seed of the subsample.
        sample: Number of points of the subsample.
        limit: Filtration limit as a share of the scale; 1 closes every hole.

    Raises:
        ValueError: There are fewer than two samples, all samples are the same, or a value is not
            finite.
    """
    from ripser import ripser  # noqa: PLC0415 - takes a second, and other measures do not need it

    scores = decompose(points).scores  # the same distances with far fewer features
    chosen = farthest_points(scores, sample, seed)
    apart = cdist(scores[chosen], scores[chosen])
    scale = float(apart.max(axis=1).min())
    end = limit * scale
    found = ripser(apart, maxdim=max_dim, thresh=end, distance_matrix=True)["dgms"]
    diagrams = tuple(np.minimum(np.asarray(d, dtype=np.float64), end) for d in found)
    spacing = float(cdist(scores[chosen], scores).min(axis=0).max())
    return Persistence(diagrams=diagrams, spacing=spacing, scale=scale)


def betti(found: Persistence) -> tuple[Betti, ...]:
    """Compute Betti numbers: count the holes that outlive all others by a wide gap (our rule).

    - Pieces are separate if their distance exceeds both three times the spacing of the subsample
      and a quarter of its scale.
    - Among the five longest loops, those above the widest gap count. The gap is the ratio of
      successive persistences and must be at least 1.5. Counted loops persist for at least a tenth
      of the scale.
    - Voids follow the rule of loops with a ratio of 2 and a twentieth of the scale.

    Gaps between the points of a random sample create loops and voids of all persistences up to a
    maximum. Noise therefore shows no wide gap.
    """
    lives = [np.sort(d[:, 1] - d[:, 0])[::-1] for d in found.diagrams]
    apart = max(3 * found.spacing, found.scale / 4)
    # There is always one piece; its death is only the filtration limit.
    pieces = 1 + int((lives[0][1:] > apart).sum())
    numbers = [_betti(lives[0], pieces, apart)]
    for life, (ratio, share) in zip(lives[1:], _GAPS, strict=False):
        least = share * found.scale
        numbers.append(_betti(life, _above_gap(life, ratio, least), least))
    return tuple(numbers)


def distance(one: Persistence, other: Persistence, dimension: int) -> float:
    """Compute the bottleneck distance of two diagrams, each in units of its own scale.

    Raises:
        ValueError: One of the two has no diagram of this dimension.
    """
    from persim import bottleneck  # noqa: PLC0415 - as ripser

    if not 0 <= dimension < min(len(one.diagrams), len(other.diagrams)):
        raise ValueError(f"Both must have a diagram of dimension {dimension}.")
    a, b = (p.diagrams[dimension] / p.scale for p in (one, other))
    return float(bottleneck(a, b))


def _above_gap(lives: Floats, ratio: float, least: float) -> int:
    """Return how many persistences (longest first) lie above the widest gap; 0 without a gap."""
    count, widest = 0, ratio
    for k in range(1, min(_MOST, len(lives)) + 1):
        # A floor of least / 3 keeps negligible noise from producing huge ratios.
        below = max(float(lives[k]) if k < len(lives) else 0.0, least / 3)
        if lives[k - 1] >= least and lives[k - 1] >= widest * below:
            count, widest = k, float(lives[k - 1]) / below
    return count


def _betti(lives: Floats, number: int, least: float) -> Betti:
    """Return a Betti number with its confidence."""
    shortest = float(lives[number - 1]) if number else least
    below = float(lives[number]) if number < len(lives) else 0.0
    return Betti(number=number, confidence=max(0.0, 1 - below / shortest))
