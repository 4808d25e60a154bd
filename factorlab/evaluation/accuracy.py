"""Accuracies from the errors of labels, of generated images and of null models alike."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from factorlab.data.lattice import Mask

TOLERANCE = 1.0
"""Errors of a coordinate below this many pixels count as right ([W] eq. 1)."""


def accuracies(
    errors: NDArray[np.float64], parts: Mapping[str, Mask] | None = None
) -> dict[str, float]:
    """Return the shares of labels that are right: in both coordinates, and in x or y alone.

    Args:
        errors: Error of x and of y of each label in pixels, shape (labels, 2). NaN counts as wrong.
        parts: Which labels belong to each part, shape (labels,), by name.

    Returns:
        `accuracy`, `accuracy_x`, `accuracy_y`; the same with `_half_pixel`, for errors of at most
        half a pixel, which is what the label reader can resolve (our definition); and
        `accuracy_<part>`.
    """
    right, near = errors < TOLERANCE, errors <= TOLERANCE / 2
    correct = np.asarray(right.all(axis=1))
    return {
        "accuracy": float(correct.mean()),
        "accuracy_x": float(right[:, 0].mean()),
        "accuracy_y": float(right[:, 1].mean()),
        "accuracy_half_pixel": float(near.all(axis=1).mean()),
        "accuracy_half_pixel_x": float(near[:, 0].mean()),
        "accuracy_half_pixel_y": float(near[:, 1].mean()),
        **{f"accuracy_{part}": float(correct[mask].mean()) for part, mask in (parts or {}).items()},
    }
