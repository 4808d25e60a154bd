"""How a model fails, by shapes that have the area and the depth of a clean one.

[W] section 3 tells three failures apart: no bump, one bump in the wrong place, several bumps. The
label reader counts the dark regions of Otsu's threshold, which exist in pure noise as well, so that
speckle counts as several bumps and hardly an image as none. Here a shape is a connected region
that is dark enough and neither too small nor too large: darker than half of the least depth of a
clean shape, at least half as large as the smallest region that a clean shape has at this level, and
at most twice as large as the largest. Noise makes one region that is larger. Clean shapes are those
of the run's family and spread, anywhere between the pixels. Narrow ones are hardly visible there,
so a shape must also be as dark as the label reader demands of an image. This is our definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from factorlab import families
from factorlab.config import DataSettings
from factorlab.data.lattice import Mask
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.label_reader import BLANK_CONTRAST, read_shape, towards_middle

Images = NDArray[np.uint8]

_OFFSETS = np.arange(8) / 8  # of a clean shape's centre from a pixel


@dataclass(frozen=True)
class ShapeSize:
    """What counts as a shape."""

    level: float
    """Grey value, of 255, below which a pixel is dark."""

    least: float
    """Least number of connected dark pixels."""

    most: float
    """Largest number of them."""


@lru_cache(maxsize=64)
def shape_size(data: DataSettings) -> ShapeSize | None:
    """Return what counts as a shape in the images of a data set.

    Returns:
        Level and area; None for a family whose images do not show one shape at their label.
    """
    if families.of(data.family).READ is not read_shape:
        return None
    middle = (data.size + 1) // 2
    x, y = np.meshgrid(middle + _OFFSETS, middle + _OFFSETS)
    labels = torch.tensor(np.stack([x.ravel(), y.ravel()], axis=1))
    clean = to_8_bit(to_model(render(labels, data))).numpy()
    depth = 255 - clean.reshape(len(clean), -1).min(axis=1).astype(float)
    level = 255 - max(float(depth.min()) / 2, BLANK_CONTRAST)
    areas = (clean < level).sum(axis=(1, 2))
    return ShapeSize(level, float(areas.min()) / 2, 2 * float(areas.max()))


def count_shapes(images: Images, size: ShapeSize, *, periodic: bool) -> NDArray[np.int64]:
    """Return the number of shapes in each image, shape (B,).

    Args:
        images: 8-bit images, white = 255, shape (B, N, N).
        size: What counts as a shape.
        periodic: Whether the images are tori; they are then rolled to move their content to the
            middle.
    """
    return np.array([_count(image, size, periodic) for image in images], dtype=np.int64)


def _count(image: Images, size: ShapeSize, periodic: bool) -> int:
    if periodic:
        dark = 255.0 - image
        rolls = towards_middle(dark.sum(axis=1)), towards_middle(dark.sum(axis=0))
        image = np.roll(image, rolls, axis=(0, 1))
    dark_pixels = (image < size.level).astype(np.uint8)
    _, _, regions, _ = cv2.connectedComponentsWithStats(dark_pixels, connectivity=8)
    areas = regions[1:, cv2.CC_STAT_AREA]  # the first is the background
    return int(((areas >= size.least) & (areas <= size.most)).sum())


def failures(images: Images, correct: Mask, data: DataSettings) -> dict[str, float]:
    """Return the shares of failures.

    Args:
        images: 8-bit images, white = 255, shape (B, N, N).
        correct: Which images have the right label, shape (B,).
        data: Settings of the data set.

    Returns:
        `failure_none`, `failure_misplaced` and `failure_several`, which add up to one with the
        accuracy. Empty for families whose images do not show one shape at their label.
    """
    size = shape_size(data)
    if size is None:
        return {}
    count = np.minimum(count_shapes(images, size, periodic=data.periodic), 2)
    names = ("none", "misplaced", "several")
    return {
        f"failure_{name}": float((~correct & (count == k)).mean()) for k, name in enumerate(names)
    }
