"""Accuracies from the errors of labels, of generated images and of null models alike."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from factorlab.data.lattice import Mask

Floats = NDArray[np.float64]

TOLERANCE = 1.0
"""Errors of a coordinate below this many pixels count as right ([W] eq. 1)."""

_DIGITS = 9  # of errors in pixels


def accuracies(errors: Floats, parts: Mapping[str, Mask] | None = None) -> dict[str, float]:
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
    return shares(right.astype(float), near.astype(float), parts or {})


def expected_accuracies(
    errors: Floats, parts: Mapping[str, Mask] | None = None
) -> dict[str, float]:
    """Return the accuracies to expect if what is drawn scatters by much less than a pixel.

    They differ from `accuracies` where an error equals a tolerance, as is frequent on a lattice:
    the least scatter makes half of these right, in each coordinate (our definition).

    Args:
        errors: Error of x and of y without scatter, in pixels, shape (labels, 2), not NaN.
        parts: Which labels belong to each part, shape (labels,), by name.
    """
    right, near = (expected_right(errors, tolerance) for tolerance in (TOLERANCE, TOLERANCE / 2))
    return shares(right, near, parts or {})


def expected_right(errors: Floats, tolerance: float) -> Floats:
    """Return how often errors are within a tolerance if they scatter a little: 0, 1/2 or 1.

    Sums of lattice increments differ from whole pixels in later digits, which do not count.

    Args:
        errors: Errors without scatter in pixels, any shape.
        tolerance: Largest error that is right, in pixels.
    """
    rounded = np.round(errors, _DIGITS)
    return np.where(rounded == tolerance, 0.5, rounded < tolerance)


def shares(right: Floats, near: Floats, parts: Mapping[str, Mask]) -> dict[str, float]:
    """Return the accuracies from the probability that each coordinate is right.

    Args:
        right: Probability that x and that y is right, shape (labels, 2).
        near: Probability that it is within half a pixel, shape (labels, 2).
        parts: Which labels belong to each part, shape (labels,), by name.
    """
    correct = right.prod(axis=1)
    return {
        "accuracy": float(correct.mean()),
        "accuracy_x": float(right[:, 0].mean()),
        "accuracy_y": float(right[:, 1].mean()),
        "accuracy_half_pixel": float(near.prod(axis=1).mean()),
        "accuracy_half_pixel_x": float(near[:, 0].mean()),
        "accuracy_half_pixel_y": float(near[:, 1].mean()),
        **{f"accuracy_{part}": float(correct[mask].mean()) for part, mask in parts.items()},
    }
