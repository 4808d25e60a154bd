"""Persistent homology of representations: how many pieces, loops and voids they have ([F] Fig 2b).

A circle has Betti numbers (1, 1, 0), a torus, Clifford or in space, (1, 2, 1). Rips complexes grow
with the fourth power of the points where voids are asked for, so a subsample stands for all: the
farthest points, each as far as can be from those before it, which cover a surface evenly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from analysis.measures.pca import Principal, decompose

Floats = NDArray[np.float64]

# Of loops and voids: the least ratio of the gap beneath those that count, and their least share
# of the scale.
_GAPS = ((1.5, 0.1), (2.0, 0.05))

# Most loops or voids that are counted.
_MOST = 5

# Points of a subsample: with 200 a torus's void stands clear, in a second.
SAMPLE = 200

# Share of the scale up to which complexes grow: what lives there is counted, and dies there. All
# holes of the spaces above are born before; without it complexes are six times as dear.
LIMIT = 0.7


@dataclass(frozen=True, kw_only=True)
class Persistence:
    """The holes of a subsample, from the distance at which they open to that which closes them."""

    diagrams: tuple[Floats, ...]
    """For each dimension from 0 up (holes, 2): birth and death, in the points' own unit; what
    lives at the end, dies there."""

    spacing: float
    """Distance that no point of all is farther from the subsample than."""

    scale: float
    """Distance at which the complex is one ball, and all holes are closed."""


@dataclass(frozen=True, kw_only=True)
class Betti:
    """How many holes of a dimension there are, by the rule of `betti`."""

    number: int
    """The Betti number."""

    confidence: float
    """How clear it is, 0 to 1: one less the longest persistence that does not count over the
    shortest that does, or over the least that would."""


def farthest_points(points: NDArray[np.floating], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Indices of a subsample, each point as far as can be from those before it.

    Args:
        points: (samples, features).
        count: Points to choose; all where there are fewer.
        seed: Of the first.
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
    """Persistent homology of the Rips complexes of a subsample, by ripser.

    Args:
        points: Representations, (samples, features), or their principal components.
        max_dim: Largest dimension of a hole: 0 pieces, 1 loops, 2 voids.
        seed: Of the subsample.
        sample: Points of the subsample.
        limit: Share of the scale up to which complexes grow; 1 leaves no hole open.

    Raises:
        ValueError: Fewer than two samples, all the same, or one that is not finite.
    """
    from ripser import ripser  # noqa: PLC0415 - a second that other measures do without

    scores = decompose(points).scores  # distances stay as they are, in far fewer features
    chosen = farthest_points(scores, sample, seed)
    apart = cdist(scores[chosen], scores[chosen])
    scale = float(apart.max(axis=1).min())
    end = limit * scale
    found = ripser(apart, maxdim=max_dim, thresh=end, distance_matrix=True)["dgms"]
    diagrams = tuple(np.minimum(np.asarray(d, dtype=np.float64), end) for d in found)
    spacing = float(cdist(scores[chosen], scores).min(axis=0).max())
    return Persistence(diagrams=diagrams, spacing=spacing, scale=scale)


def betti(found: Persistence) -> tuple[Betti, ...]:
    """Betti numbers by a rule of ours: holes count that outlive all others by a wide gap.

    Two pieces are two if they lie farther apart than three times the subsample's spacing and a
    quarter of its scale. Of the five longest loops those count that stand above the widest gap, as
    a ratio, if it is at least 1.5 and they persist for a tenth of the scale; of the voids likewise,
    with a ratio of 2 and a twentieth. Gaps of a random sample make loops and voids of all lengths
    up to some, which is what noise is told by.
    """
    lives = [np.sort(d[:, 1] - d[:, 0])[::-1] for d in found.diagrams]
    apart = max(3 * found.spacing, found.scale / 4)
    # There is always one piece, whose death is only the end of the search.
    pieces = 1 + int((lives[0][1:] > apart).sum())
    numbers = [_betti(lives[0], pieces, apart)]
    for life, (ratio, share) in zip(lives[1:], _GAPS, strict=False):
        least = share * found.scale
        numbers.append(_betti(life, _above_gap(life, ratio, least), least))
    return tuple(numbers)


def distance(one: Persistence, other: Persistence, dimension: int) -> float:
    """Bottleneck distance of two diagrams of a dimension, in shares of each one's scale.

    Raises:
        ValueError: One has no diagram of this dimension.
    """
    from persim import bottleneck  # noqa: PLC0415 - as ripser

    if not 0 <= dimension < min(len(one.diagrams), len(other.diagrams)):
        raise ValueError(f"There are no two diagrams of dimension {dimension}.")
    a, b = (p.diagrams[dimension] / p.scale for p in (one, other))
    return float(bottleneck(a, b))


def _above_gap(lives: Floats, ratio: float, least: float) -> int:
    """How many persistences, longest first, stand above the widest gap; 0 where none does."""
    count, widest = 0, ratio
    for k in range(1, min(_MOST, len(lives)) + 1):
        # What is below a third of the least is no noise to compare with.
        below = max(float(lives[k]) if k < len(lives) else 0.0, least / 3)
        if lives[k - 1] >= least and lives[k - 1] >= widest * below:
            count, widest = k, float(lives[k - 1]) / below
    return count


def _betti(lives: Floats, number: int, least: float) -> Betti:
    """A Betti number with its confidence."""
    shortest = float(lives[number - 1]) if number else least
    below = float(lives[number]) if number < len(lives) else 0.0
    return Betti(number=number, confidence=max(0.0, 1 - below / shortest))
