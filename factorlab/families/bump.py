"""Gaussian bumps, dark on white ([W] section 2): ``v = 1 - g_x g_y``.

A single stripe beside bumps is ``1 - g``, a bump without its other factor (our choice).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factorlab.label_reader import read_shape

if TYPE_CHECKING:
    from torch import Tensor

TITLE = "Bumps"
VERSION = 1
STRIPE = 1.0
READ = read_shape


def intensity(along_x: Tensor, along_y: Tensor) -> Tensor:
    """Return the product of both profiles."""
    return (-along_x).exp() * (-along_y).exp()
