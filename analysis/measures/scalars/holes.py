"""Which shape the representations have ([F] Fig. 2b): Betti numbers, distances to ideals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


def scalars(measures: Measures) -> dict[str, float]:
    """Return Betti numbers with their confidence, and distances to each ideal's diagrams."""
    found: dict[str, float] = {}
    for k, betti in enumerate(measures.betti):
        found |= {f"betti_{k}": betti.number, f"betti_{k}_confidence": betti.confidence}
    for ideal in measures.ideals:
        for k, name in ((1, "loops"), (2, "voids")):
            found[f"{name}_to_{ideal}"] = measures.distance(ideal, k)
    return found
