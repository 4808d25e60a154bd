"""Sums of two perpendicular stripes ([F] Fig. 1): ``v = 1 - (g_x + g_y) / 2``.

The half is ours and keeps v in [0, 1]. A stripe beside them is ``1 - g / 2``, what the sum leaves.
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
    """The mean of both profiles."""
    return ((-along_x).exp() + (-along_y).exp()) / 2
