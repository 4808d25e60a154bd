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

# R-squared of both labels from which the manifold is ordered.
ORDERED = 0.6


def phase(numbers: Mapping[str, float]) -> Phase:
    """The phase that a model is in.

    A while fewer than half of the samples show exactly one shape, or the representations have an
    effective dimension above 30; then C if both labels are read off the embedding, or off the
    leading principal components, with an R-squared of 0.6, else B. A torus has no room in the three
    dimensions of the embedding: there an ideal one has 0.5 to 0.7, and 1 from its components.

    Args:
        numbers: `accuracy` and `share_misplaced` of an evaluation, together the share of samples
            with one shape; `dimension`, and `r_squared_x`, `r_squared_pca_x` and those of y, of its
            representations.

    Raises:
        ValueError: One of them is missing or not finite.
    """
    one_shape = _number(numbers, "accuracy") + _number(numbers, "share_misplaced")
    dimension = _number(numbers, "dimension")
    read_off = max(
        min(_number(numbers, f"r_squared_{kind}{axis}") for axis in "xy") for kind in ("", "pca_")
    )
    if one_shape < SHAPED or dimension > MANIFOLD:
        return "A"
    return "C" if read_off >= ORDERED else "B"


def _number(numbers: Mapping[str, float], name: str) -> float:
    value = numbers.get(name, math.nan)
    if not math.isfinite(value):
        raise ValueError(f"{name} is missing or not finite; a phase needs it.")
    return value
