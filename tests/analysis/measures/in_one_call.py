"""Measures of representations, each in one call."""

import numpy as np

from analysis.measures.embedding import embed, fitted
from analysis.measures.topology import betti, persistence
from analysis.measures.validation import centred


def participation_ratio(points):
    """Return (sum of l)^2 / sum of l^2 over the eigenvalues l, from traces alone."""
    centre = np.concatenate([*centred(points)], axis=1)
    products = centre @ centre.T
    return float(np.trace(products) ** 2 / np.square(products).sum())


def betti_numbers(points, max_dim=2, seed=0):
    """Return the Betti numbers from dimension 0 to `max_dim`."""
    return tuple(b.number for b in betti(persistence(points, max_dim=max_dim, seed=seed)))


def r_squared(points, labels, seed=0, period=None):
    """Return R-squared of two linear regressions from the 3-D UMAP embedding to the labels."""
    return fitted(embed(points, 3, seed), labels, period)
