"""Phases of manifold formation during training ([W] section 3).

- A: no structure. The model generates no shape or several shapes.
- B: a two-dimensional manifold without order. The model generates one shape in the wrong place.
- C: an ordered manifold. The model generates the desired image.

The rule is ours; [W] distinguishes the phases by eye.
"""

import math
from collections.abc import Mapping
from typing import Literal

Phase = Literal["A", "B", "C"]

PHASES: dict[Phase, str] = {"A": "no structure", "B": "shapes, misplaced", "C": "ordered"}
"""Short description of each phase, for legends."""

_FAILURES = ("none", "misplaced", "several")

# Least accuracy of phase C.
RIGHT = 0.5

# Largest effective dimension of a manifold, in units of that of the clean images at the layer's
# resolution, which grows with N: 4.1 at N = 8, 16 at 16, 70 at 32. At N = 8 the representations of
# untrained networks have 17 or more, those of networks that generate single bumps less than 5.
MANIFOLD = 2.5

# The bound of representations that were measured before the images were: that of N = 8.
_MANIFOLD_AT_8 = 10.0

# Least R-squared of both labels on an ordered manifold.
ORDERED = 0.6


def phase(numbers: Mapping[str, float]) -> Phase:
    """Classify the phase of a model.

    - C: the accuracy is at least 0.5, and both labels have an R-squared of at least 0.6, either
      from the embedding or from the leading principal components. (A torus does not fit into the
      three dimensions of the embedding: an ideal torus has 0.5 to 0.7 from the embedding, and 1
      from its components.)
    - B: otherwise, if one misplaced shape is the most frequent failure and the effective dimension
      of the representations is at most 2.5 times that of the clean images.
    - A: otherwise.

    Args:
        numbers: `accuracy`, `share_none`, `share_misplaced` and `share_several` of an evaluation,
            which add up to 1; and of its representations `dimension`, `r_squared_x`,
            `r_squared_y`, `r_squared_pca_x` and `r_squared_pca_y`, and `null_image_dimension`. If
            the latter is missing, the bound of the dimension is 10.

    Raises:
        ValueError: A number is missing or not finite.
    """
    accuracy, dimension = _number(numbers, "accuracy"), _number(numbers, "dimension")
    failures = {name: _number(numbers, f"share_{name}") for name in _FAILURES}
    read_off = max(
        min(_number(numbers, f"r_squared_{kind}{axis}") for axis in "xy") for kind in ("", "pca_")
    )
    if accuracy >= RIGHT and read_off >= ORDERED:
        return "C"
    placing = failures["misplaced"] == max(failures.values())
    images = numbers.get("null_image_dimension")
    most = _MANIFOLD_AT_8 if images is None else MANIFOLD * images
    return "B" if placing and dimension <= most else "A"


def _number(numbers: Mapping[str, float], name: str) -> float:
    value = numbers.get(name, math.nan)
    if not math.isfinite(value):
        raise ValueError(f"{name} is missing or not finite, but the phase depends on it.")
    return value
