"""Draw the nearest x and the nearest y of the training set, each on its own (our definition).

Stripes inside the frame show one coordinate each, and count.
"""

import numpy as np
from numpy.typing import NDArray

from analysis.measures.null_models import Errors
from factorlab.data.dataset import Dataset
from factorlab.data.lattice import Labels, apart

TITLE = "nearest coordinates"


def errors(dataset: Dataset, labels: Labels) -> Errors:
    """Return the errors of putting the nearest coordinates together."""
    shown = dataset.labels
    inside = np.ones_like(shown, dtype=bool)
    inside[dataset.samples_2d :] = (dataset.stripes >= 1) & (dataset.stripes <= dataset.data.size)
    seen_x, seen_y = (shown[inside[:, axis], axis] for axis in (0, 1))
    return composed(seen_x, seen_y, labels, period=dataset.data.period)


def composed(
    seen_x: NDArray[np.float64],
    seen_y: NDArray[np.float64],
    labels: Labels,
    *,
    period: float | None = None,
) -> Errors:
    """Return the errors of putting nearest coordinates together, in pixels, shape (labels, 2).

    Args:
        seen_x: Values of x in the training set, shape (values,).
        seen_y: Values of y, shape (values,).
        labels: Labels that are asked for, shape (labels, 2).
        period: Period of both coordinates in pixels; None on a plain frame.

    Returns:
        The distance in x and in y; infinite where no value was seen.
    """
    found = np.full(labels.shape, np.inf)
    for axis, seen in enumerate((seen_x, seen_y)):
        values = np.unique(seen)
        if len(values):
            found[:, axis] = apart(labels[:, axis, None], values, period).min(axis=1)
    return found
