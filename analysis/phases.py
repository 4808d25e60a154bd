"""The phases of manifold formation while a model trains ([W] section 3).

A: no structure. B: a two-dimensional manifold without order: the model draws a shape, but not where
it is told to. C: an ordered manifold. The rule is ours; [W] tells them apart by eye.
"""

import math
from collections.abc import Mapping
from typing import Literal

Phase = Literal["A", "B", "C"]

PHASES: dict[Phase, str] = {"A": "no structure", "B": "shapes, no order", "C": "ordered"}
"""What each of them is, for legends."""

# Share of the samples that must show one shape, wherever it is, for a manifold.
SHAPED = 0.5

# Effective dimension up to which the representations are a manifold and no cloud.
MANIFOLD = 30.0

# R-squared of both labels from the embedding from which the manifold is ordered.
ORDERED = 0.7


def phase(numbers: Mapping[str, float]) -> Phase:
    """The phase that a model is in.

    A while fewer than half of the samples show exactly one shape, or the representations have an
    effective dimension above 30; then C if both labels are read off the embedding with an
    R-squared of 0.7, else B.

    Args:
        numbers: `accuracy` and `share_misplaced` of an evaluation, together the share of samples
            with one shape; `dimension`, `r_squared_x`, `r_squared_y` of its representations.

    Raises:
        ValueError: One of them is missing or not finite.
    """
    one_shape = _number(numbers, "accuracy") + _number(numbers, "share_misplaced")
    dimension = _number(numbers, "dimension")
    read_off = min(_number(numbers, f"r_squared_{axis}") for axis in "xy")
    if one_shape < SHAPED or dimension > MANIFOLD:
        return "A"
    return "C" if read_off >= ORDERED else "B"


def _number(numbers: Mapping[str, float], name: str) -> float:
    value = numbers.get(name, math.nan)
    if not math.isfinite(value):
        raise ValueError(f"{name} is missing or not finite; a phase needs it.")
    return value
