"""The accuracy of copying the training example nearest to the label, a null model.

It needs no training: a model that is no more accurate than this has learned nothing beyond its
examples. The model is our definition.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from factorlab.data.lattice import Labels

TOLERANCE = 1.0
"""Largest error of a coordinate that counts as right, in pixels ([W] eq. 1)."""


def copied(examples: Labels, labels: Labels, *, period: float | None = None) -> NDArray[np.bool_]:
    """Return which labels are right if the nearest example is copied, shape (labels,).

    Args:
        examples: Labels of the 2D examples of a data set, at least one, shape (examples, 2).
        labels: Labels that are asked for, shape (labels, 2).
        period: Period of both coordinates in pixels; None on a plain frame.
    """
    if period is not None:
        examples, labels = examples % period, labels % period
    # The stubs of scipy lack the box of a tree.
    _, nearest = KDTree(examples, boxsize=period).query(labels)  # type: ignore[arg-type]
    offset = np.abs(labels - examples[nearest])
    if period is not None:
        offset = np.minimum(offset, period - offset)
    return np.asarray((offset < TOLERANCE).all(axis=1))


def nearest_accuracy(examples: Labels, labels: Labels, *, period: float | None = None) -> float:
    """Return the share of labels that are right if the nearest example is copied; see `copied`."""
    return float(copied(examples, labels, period=period).mean())
