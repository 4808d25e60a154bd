"""Sums of two perpendicular stripes ([F] Fig. 1): ``v = 1 - (g_x + g_y) / 2``.

The factor 1/2 is our choice and keeps v in [0, 1]. A single stripe beside them is ``1 - g / 2``,
the sum without its other stripe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factorlab.label_reader import read_stripes

if TYPE_CHECKING:
    from torch import Tensor

TITLE = "Sums of stripes"
VERSION = 1
STRIPE = 0.5
READ = read_stripes


def intensity(along_x: Tensor, along_y: Tensor) -> Tensor:
    """Return the mean of both profiles."""
    return ((-along_x).exp() + (-along_y).exp()) / 2
