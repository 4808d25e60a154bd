"""Draw the 2D training example whose label is nearest to the label asked for (our definition)."""

import numpy as np
from scipy.spatial import KDTree

from analysis.measures.null_models import Errors
from factorlab.data.dataset import Dataset
from factorlab.data.lattice import Labels, apart

TITLE = "nearest example"


def errors(dataset: Dataset, labels: Labels) -> Errors:
    """Return the errors of drawing the nearest example."""
    return copied(dataset.lattice[dataset.seen], labels, period=dataset.data.period)


def copied(examples: Labels, labels: Labels, *, period: float | None = None) -> Errors:
    """Return the errors of drawing the nearest example, in pixels, shape (labels, 2).

    Args:
        examples: Labels of the 2D examples of a data set, shape (examples, 2).
        labels: Labels that are asked for, shape (labels, 2).
        period: Period of both coordinates in pixels; None on a plain frame.

    Returns:
        The distance in x and in y; infinite if there are no examples.
    """
    if not len(examples):
        return np.full(labels.shape, np.inf)
    if period is not None:
        examples, labels = examples % period, labels % period
    # The stubs of scipy lack the box of a tree.
    _, nearest = KDTree(examples, boxsize=period).query(labels)  # type: ignore[arg-type]
    return apart(labels, examples[nearest], period)
