"""Tolerances that follow from the arithmetic, so that a test passes on every processor.

Processors round differently: they add in another order, fuse a product with a sum, and compute
exponentials by other polynomials. What a test compares is therefore either the same bits, or
computed in float64 (`in_float64`), or float32 within a bound of what its roundings can add up to
(`gamma`; Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3).
"""

from contextlib import contextmanager

import pytest
import torch

HALF, SINGLE, DOUBLE = 2.0**-11, 2.0**-24, 2.0**-53
"""Largest relative error of one rounding to float16, float32 and float64."""

EXACT = 1e-9
"""Relative tolerance in float64: what ten million roundings add up to at worst. A float32 result is
not within it, nor is a formula that differs."""


def gamma(roundings, unit=SINGLE):
    """Return a bound of the relative error that so many roundings in a row add up to."""
    return roundings * unit / (1 - roundings * unit)


@contextmanager
def in_float64():
    """Let torch compute in float64 where it would in float32; also a decorator of a test.

    Roundings are 2^29 times smaller then, and so is what a network or a training makes of them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
