"""Topology of the representations: Betti numbers, distances to ideal shapes ([F] Fig. 2b)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


def scalars(measures: Measures) -> dict[str, float]:
    """Return Betti numbers, their confidence, and the distances to the ideal shapes' diagrams."""
    found: dict[str, float] = {}
    for k, betti in enumerate(measures.betti):
        found |= {f"betti_{k}": betti.number, f"betti_{k}_confidence": betti.confidence}
    for ideal in measures.ideals:
        for k, name in ((1, "loops"), (2, "voids")):
            found[f"{name}_to_{ideal}"] = measures.distance(ideal, k)
    return found
