"""What every measure asks first of an array of representations."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Features that are held in float64 at a time: 1024 samples take 32 MB.
BLOCK = 4096


def centred(points: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """Yield points minus their mean, in float64, a block of features at a time.

    A memory-mapped array of float16 is read once and never stands in memory as a whole.

    Args:
        points: Representations, (samples, features).

    Raises:
        ValueError: As `check`.
    """
    check(points)
    constant = True
    for start in range(0, points.shape[1], BLOCK):
        block = np.asarray(points[:, start : start + BLOCK], dtype=np.float64)
        if not np.isfinite(block).all():
            raise ValueError("The representations hold a number that is not finite.")
        constant = constant and bool((block == block[0]).all())
        yield block - block.mean(axis=0)
    if constant:
        raise ValueError(f"All {len(points)} representations are the same.")


def check(points: NDArray[np.floating], least: int = 2) -> None:
    """Refuse what is not an array of representations.

    Args:
        points: Representations, (samples, features).
        least: Samples that there must be.

    Raises:
        ValueError: The shape is another, or there are fewer samples.
    """
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(
            f"The representations have the shape {points.shape}; needed: (samples, features)."
        )
    if len(points) < least:
        raise ValueError(f"There are {len(points)} representations; needed: at least {least}.")


def check_labels(labels: NDArray[np.floating], samples: int) -> None:
    """Refuse what are not the labels of so many samples.

    Args:
        labels: Labels, (samples, 2).
        samples: How many there must be.

    Raises:
        ValueError: The shape is another, or a label is not finite.
    """
    if labels.shape != (samples, 2):
        raise ValueError(f"The labels have the shape {labels.shape}; needed: ({samples}, 2).")
    if not np.isfinite(labels).all():
        raise ValueError("The labels hold a number that is not finite.")
