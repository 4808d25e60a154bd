"""Rings of radius 2 sigma, dark on white: `factorlab/families/ring.py` of docs/extending.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factorlab.label_reader import read_shape

if TYPE_CHECKING:
    from torch import Tensor

TITLE = "Rings"
VERSION = 1
STRIPE = 1.0
READ = read_shape  # the centre of the outline's box, as for bumps


def intensity(along_x: Tensor, along_y: Tensor) -> Tensor:
    """A Gaussian of the distance from the circle; the distances come in units of 4 sigma^2."""
    radius = (along_x + along_y).sqrt()
    return (-4 * (radius - 1) ** 2).exp()
