"""A smoothing null model: `analysis/measures/null_models/smoothing.py` of docs/extending.md.

Draw a bump at the mean label of the three nearest training examples. A model that is no more
accurate averages its examples.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from factorlab.data.dataset import Dataset
from factorlab.data.lattice import Labels

TITLE = "mean of three examples"

NEIGHBOURS = 3


def errors(dataset: Dataset, labels: Labels) -> NDArray[np.float64]:
    """Return the errors of the mean label, in pixels, shape (labels, 2); frames do not close."""
    examples = dataset.lattice[dataset.seen]
    if not len(examples):
        return np.full(labels.shape, np.inf)
    count = min(NEIGHBOURS, len(examples))
    _, nearest = KDTree(examples).query(labels, k=range(1, count + 1))
    return np.abs(examples[nearest].mean(axis=1) - labels)
