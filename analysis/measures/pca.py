"""Principal components of representations: spectrum, effective dimension, scores ([F] Fig 2).

The decomposition is exact. Its cost depends on the smaller side of the array: up to a factor, the
covariance matrix and the Gram matrix of the samples share their nonzero eigenvalues. There are
usually far fewer samples than features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from analysis.measures.validation import centred, check


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Principal components of representations, by decreasing variance."""

    variances: NDArray[np.float64]
    """Variance along each component, shape (components,); min(samples - 1, features) components."""

    scores: NDArray[np.float64]
    """Coordinates of the samples along the components, shape (samples, components). In each
    component the coordinate of largest magnitude is positive."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the variance along each component, shape (components,)."""
        shares: NDArray[np.float64] = self.variances / self.variances.sum()
        return shares

    def share(self, count: int = 4) -> float:
        """Return the variance share of the first `count` components, in [0, 1] ([F] Fig 2: 4)."""
        return float(self.shares[:count].sum())

    @property
    def dimension(self) -> float:
        """Effective dimension: the participation ratio (sum l)^2 / sum l^2 of the variances l.

        It is 1 for a line and F for a ball in F dimensions ([F] Fig 2c).
        """
        return float(1 / np.square(self.shares).sum())


def principal(points: NDArray[np.floating]) -> Principal:
    """Decompose representations into principal components.

    The scores with all components preserve every distance and angle between the samples.

    Args:
        points: Representations, shape (samples, features).

    Raises:
        ValueError: There are fewer than two samples, all samples are the same, or a value is not
            finite.
    """
    products, wide = _products(points)
    samples = len(points)
    count = min(samples - 1, points.shape[1])
    values, vectors = eigh(products, subset_by_index=(len(products) - count, len(products) - 1))
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
    scores = vectors * np.sqrt(values) if wide else next(centred(points)) @ vectors
    largest = scores[np.abs(scores).argmax(axis=0), np.arange(count)]
    scores = np.where(largest < 0, -scores, scores)  # the sign of an eigenvector is arbitrary
    return Principal(variances=values / (samples - 1), scores=scores)


def decompose(points: NDArray[np.floating] | Principal, least: int = 2) -> Principal:
    """Return the principal components of representations; return a `Principal` unchanged.

    Args:
        points: Representations, shape (samples, features), or their principal components.
        least: Minimum number of samples.

    Raises:
        ValueError: As `principal`, or there are fewer than `least` samples.
    """
    if isinstance(points, Principal):
        check(points.scores, least)
        return points
    check(points, least)
    return principal(points)


def _products(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], bool]:
    """Return the inner products along the smaller side, and whether that is the samples' side."""
    check(points)
    wide = points.shape[1] > len(points)
    if wide:
        products = np.zeros((len(points), len(points)))
        for block in centred(points):
            products += block @ block.T
        return products, True
    (block,) = centred(points)  # at most as many features as samples, so they fit into one block
    return block.T @ block, False
