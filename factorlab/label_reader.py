"""The label reader: Algorithm 1 of [W], for bumps, stripes and periodic images.

Images are 8-bit, (N, N), white = 255. Labels are (x, y) in pixels, 1 in the first pixel. A label
that cannot be read is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

BLANK_CONTRAST = 51
"""Range of grey values (of 255) below which an image is blank (our definition: a fifth)."""


@dataclass(frozen=True)
class LabelPredictions:
    """The labels read off a batch of images."""

    labels: Floats
    """(B, 2), x and y in pixels, NaN if nothing could be read."""

    objects: NDArray[np.int64]
    """(B,), number of shapes: 0 none, 1 as expected, 2 several. For sums of stripes the two
    directions count together: none if either is missing, several if either is repeated."""


class Reader(Protocol):
    """A function that reads the label off one image."""

    def __call__(self, image: Image, *, periodic: bool) -> tuple[tuple[float, float], int]:
        """Return the label (x, y), NaN if there is none, and the number of shapes: 0, 1, 2 = more.

        Args:
            image: (N, N), uint8.
            periodic: Whether the image is a torus. It is then rolled by whole pixels to move its
                content to the middle, read, and rolled back (our extension).
        """
        ...


def _contours(image: Image) -> list[tuple[float, float]]:
    """Return the centre (x, y) of every dark shape (Algorithm 1, lines 2, 3 and 8 to 10).

    Line 7, the choice of the largest contour, is not needed: lines 4 to 6 leave exactly one.

    A bounding box of w pixels that starts at pixel index x has its centre at index x + (w - 1) / 2.
    In coordinates, where the first pixel is 1, that is x + (w + 1) / 2.
    """
    _, mask = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    shapes = []
    for outline in outlines:
        x, y, w, h = cv2.boundingRect(outline)
        shapes.append((x + (w + 1) / 2, y + (h + 1) / 2))
    return shapes


def _centroid(image: Image) -> tuple[float, float]:
    """Return the centroid (x, y) of the inverted image, NaN for a white one."""
    weight = 255.0 - image
    total = weight.sum()
    if total == 0:
        return (np.nan, np.nan)
    height, width = image.shape
    x = (weight.sum(axis=0) * np.arange(1, width + 1)).sum() / total
    y = (weight.sum(axis=1) * np.arange(1, height + 1)).sum() / total
    return (float(x), float(y))


def _algorithm_1(image: Image) -> tuple[tuple[float, float], int]:
    """Return the label (x, y) by Algorithm 1 of [W] and the number of shapes (0, 1, 2 = more)."""
    blank = int(image.max()) - int(image.min()) < BLANK_CONTRAST
    shapes = _contours(image)
    label = shapes[0] if len(shapes) == 1 else _centroid(image)
    return label, 0 if blank else min(len(shapes), 2)


def towards_middle(profile: NDArray[np.floating[Any]]) -> int:
    """Return the roll that moves the dark part of a circular profile to the middle.

    The position is the circular mean of the darkness, rounded to a pixel so that rolling keeps all
    grey values.
    """
    n = len(profile)
    phase = np.angle((profile * np.exp(2j * np.pi * np.arange(n) / n)).sum())
    return n // 2 - round(float(phase) / (2 * np.pi) * n)


def read_shape(image: Image, *, periodic: bool) -> tuple[tuple[float, float], int]:
    """Read an image with one shape at its label, by Algorithm 1; see `Reader`."""
    if not periodic:
        return _algorithm_1(image)
    dark = 255.0 - image
    roll_x, roll_y = towards_middle(dark.sum(axis=0)), towards_middle(dark.sum(axis=1))
    rolled = np.ascontiguousarray(np.roll(image, (roll_y, roll_x), axis=(0, 1)))
    (x, y), objects = _algorithm_1(rolled)
    n = len(image)
    return ((x - roll_x - 1) % n + 1, (y - roll_y - 1) % n + 1), objects


def read_stripes(image: Image, *, periodic: bool) -> tuple[tuple[float, float], int]:
    """Read a sum of stripes (our extension of Algorithm 1); see `Reader`.

    Each coordinate is read from its own stripe by the same algorithm: x from the means of the
    columns, y from the means of the rows, each as an image one pixel high. The means are first
    stretched to the full range of grey values, because averaging halves the contrast.
    """
    label, objects = [], []
    for axis in (0, 1):
        means = image.mean(axis=axis)
        contrast = means.max() - means.min()
        # The mean keeps half of a stripe's contrast, hence half of the threshold.
        if contrast < BLANK_CONTRAST / 2:
            return (np.nan, np.nan), 0
        stretched = np.round((means - means.min()) / contrast * 255).astype(np.uint8)[None]
        roll = towards_middle(255.0 - stretched[0]) if periodic else 0
        (x, _), count = _algorithm_1(np.ascontiguousarray(np.roll(stretched, roll, axis=1)))
        label.append((x - roll - 1) % len(image) + 1 if periodic else x)
        objects.append(count)
    return (label[0], label[1]), 0 if 0 in objects else max(objects)


def read(images: Image, reader: Reader, *, periodic: bool = False) -> LabelPredictions:
    """Read the labels off images.

    Args:
        images: (B, N, N), uint8.
        reader: Label reader of the data family.
        periodic: Whether the images are tori.

    Returns:
        The B labels and numbers of shapes.
    """
    results = [reader(image, periodic=periodic) for image in images]
    return LabelPredictions(
        labels=np.array([label for label, _ in results], dtype=np.float64).reshape(-1, 2),
        objects=np.array([count for _, count in results], dtype=np.int64),
    )
