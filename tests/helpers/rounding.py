"""Tolerances that follow from the arithmetic, so that a test passes on every processor.

Processors round differently: they add in another order, fuse a product with a sum, and compute
exponentials by other polynomials. A test therefore compares bit by bit, or in float64
(`in_float64`), or in float32 within a bound of the accumulated rounding errors (`gamma`; Higham,
Accuracy and Stability of Numerical Algorithms, 2002, chapter 3).
"""

from contextlib import contextmanager

import pytest
import torch

HALF, SINGLE, DOUBLE = 2.0**-11, 2.0**-24, 2.0**-53
"""Largest relative error of one rounding to float16, float32 and float64."""

EXACT = 1e-9
"""Relative tolerance in float64: ten million roundings at worst. A float32 result is not within it,
nor is a different formula."""


def gamma(roundings, unit=SINGLE):
    """Return a bound of the relative error of so many successive roundings."""
    return roundings * unit / (1 - roundings * unit)


@contextmanager
def in_float64():
    """Let torch compute in float64 instead of float32; also a decorator of a test.

    Rounding errors are 2^29 times smaller then, in networks and trainings too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
