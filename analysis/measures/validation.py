"""Validation and centring of arrays of representations, shared by all measures."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Features converted to float64 at once; for 1024 samples they take 32 MB.
BLOCK = 4096


def centred(points: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """Yield the points minus their mean in float64, one block of features at a time.

    A memory-mapped float16 array is read once and never fully loaded into memory.

    Args:
        points: Representations, shape (samples, features).

    Yields:
        Centred blocks, shape (samples, up to `BLOCK` features).

    Raises:
        ValueError: As `check`.
    """
    check(points)
    constant = True
    for start in range(0, points.shape[1], BLOCK):
        block = np.asarray(points[:, start : start + BLOCK], dtype=np.float64)
        if not np.isfinite(block).all():
            raise ValueError("The representations contain a value that is not finite.")
        constant = constant and bool((block == block[0]).all())
        yield block - block.mean(axis=0)
    if constant:
        raise ValueError(f"All {len(points)} representations are the same.")


def check(points: NDArray[np.floating], least: int = 2) -> None:
    """Check the shape of an array of representations.

    Args:
        points: Representations, shape (samples, features).
        least: Minimum number of samples.

    Raises:
        ValueError: The shape is not (samples, features), or there are fewer than `least` samples.
    """
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(
            f"The representations have shape {points.shape}; expected (samples, features)."
        )
    if len(points) < least:
        raise ValueError(f"There are {len(points)} representations; expected at least {least}.")


def check_labels(labels: NDArray[np.floating], samples: int) -> None:
    """Check the shape and values of an array of labels.

    Args:
        labels: Labels, shape (samples, 2).
        samples: Expected number of samples.

    Raises:
        ValueError: The shape is not (samples, 2), or a label is not finite.
    """
    if labels.shape != (samples, 2):
        raise ValueError(f"The labels have shape {labels.shape}; expected ({samples}, 2).")
    if not np.isfinite(labels).all():
        raise ValueError("The labels contain a value that is not finite.")
