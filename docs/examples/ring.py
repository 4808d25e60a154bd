"""Rings of radius 2 sigma, dark on white: `factorlab/families/ring.py` of docs/extending.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factorlab.label_reader import read_shape

if TYPE_CHECKING:
    from torch import Tensor

TITLE = "Rings"
VERSION = 1
STRIPE = 1.0
READ = read_shape  # reads the centre of the bounding box of the shape, as for bumps


def intensity(along_x: Tensor, along_y: Tensor) -> Tensor:
    """Return a Gaussian of the distance from a circle of radius 2 sigma.

    Args:
        along_x: Squared distances to the label along x, in units of 4 sigma^2.
        along_y: Squared distances to the label along y, in units of 4 sigma^2.

    Returns:
        Intensity from 0 (white) to 1 (black), in the broadcast shape of both.
    """
    radius = (along_x + along_y).sqrt()
    return (-4 * (radius - 1) ** 2).exp()
