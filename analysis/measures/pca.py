"""Principal components of representations: their spectrum, dimension and leading views ([F] Fig 2).

All is exact and costs the smaller side of the array: the eigenvalues of the covariance are those
of the products of samples, of which there are far fewer than features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from analysis.measures.validation import centred, check


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Principal components of representations, the largest first."""

    variances: NDArray[np.float64]
    """Variance along each, min(samples - 1, features) of them."""

    scores: NDArray[np.float64]
    """Coordinates of the samples along each, (samples, components), the largest above zero."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Shares of the variance along each."""
        shares: NDArray[np.float64] = self.variances / self.variances.sum()
        return shares

    def share(self, count: int = 4) -> float:
        """Share of the variance along the first so many, in [0, 1] ([F] Fig 2: four)."""
        return float(self.shares[:count].sum())

    @property
    def dimension(self) -> float:
        """Effective dimension, the participation ratio (sum l)^2 / sum l^2 over the variances l.

        One for a line, F for a ball in F dimensions ([F] Fig 2c).
        """
        return float(1 / np.square(self.shares).sum())


def principal(points: NDArray[np.floating]) -> Principal:
    """Decompose representations into principal components.

    The scores with all components keep every distance and angle between the samples.

    Args:
        points: Representations, (samples, features).

    Raises:
        ValueError: Fewer than two samples, all the same, or one that is not finite.
    """
    products, wide = _products(points)
    samples = len(points)
    count = min(samples - 1, points.shape[1])
    values, vectors = eigh(products, subset_by_index=(len(products) - count, len(products) - 1))
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
    scores = vectors * np.sqrt(values) if wide else next(centred(points)) @ vectors
    largest = scores[np.abs(scores).argmax(axis=0), np.arange(count)]
    scores = np.where(largest < 0, -scores, scores)  # eigenvectors have no sign of their own
    return Principal(variances=values / (samples - 1), scores=scores)


def decompose(points: NDArray[np.floating] | Principal, least: int = 2) -> Principal:
    """Return the principal components of representations, as they are where they are given.

    Args:
        points: Representations, (samples, features), or their components.
        least: Samples that there must be.

    Raises:
        ValueError: As `principal`, or there are fewer samples.
    """
    if isinstance(points, Principal):
        check(points.scores, least)
        return points
    check(points, least)
    return principal(points)


def _products(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], bool]:
    """Inner products of the smaller side, and whether that is the samples' side."""
    check(points)
    wide = points.shape[1] > len(points)
    if wide:
        products = np.zeros((len(points), len(points)))
        for block in centred(points):
            products += block @ block.T
        return products, True
    (block,) = centred(points)  # no more features than samples: one block
    return block.T @ block, False
