"""The phases of manifold formation while a model trains ([W] section 3).

A: no structure; the model draws nothing, or several shapes. B: a two-dimensional manifold without
order; it draws one shape, but not where it is told to. C: an ordered manifold and the desired
generation. The rule is ours; [W] tells them apart by eye.
"""

import math
from collections.abc import Mapping
from typing import Literal

Phase = Literal["A", "B", "C"]

PHASES: dict[Phase, str] = {"A": "no structure", "B": "shapes, misplaced", "C": "ordered"}
"""What each of them is, for legends."""

_FAILURES = ("none", "misplaced", "several")

# Share of the samples that must be right for the desired generation.
RIGHT = 0.5

# Effective dimension up to which the representations are a manifold and no cloud: at N = 8 those of
# untrained networks have 17 and more, those of networks that draw single bumps less than 5.
MANIFOLD = 10.0

# R-squared of both labels from which the manifold is ordered.
ORDERED = 0.6


def phase(numbers: Mapping[str, float]) -> Phase:
    """The phase that a model is in.

    C where most samples are right and both labels are read off the embedding, or off the leading
    principal components, with an R-squared of 0.6 (a torus has no room in the three dimensions of
    the embedding: there an ideal one has 0.5 to 0.7, and 1 from its components). Else B where one
    shape in the wrong place is the most frequent failure and the representations have an effective
    dimension of at most 10. Else A.

    Args:
        numbers: `accuracy`, `share_none`, `share_misplaced` and `share_several` of an evaluation,
            which add to one; `dimension`, and `r_squared_x`, `r_squared_pca_x` and those of y, of
            its representations.

    Raises:
        ValueError: One of them is missing or not finite.
    """
    accuracy, dimension = _number(numbers, "accuracy"), _number(numbers, "dimension")
    failures = {name: _number(numbers, f"share_{name}") for name in _FAILURES}
    read_off = max(
        min(_number(numbers, f"r_squared_{kind}{axis}") for axis in "xy") for kind in ("", "pca_")
    )
    if accuracy >= RIGHT and read_off >= ORDERED:
        return "C"
    placing = failures["misplaced"] == max(failures.values())
    return "B" if placing and dimension <= MANIFOLD else "A"


def _number(numbers: Mapping[str, float], name: str) -> float:
    value = numbers.get(name, math.nan)
    if not math.isfinite(value):
        raise ValueError(f"{name} is missing or not finite; a phase needs it.")
    return value
