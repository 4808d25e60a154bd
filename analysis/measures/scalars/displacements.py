"""Factorization score, and mean orthogonality and parallelism ([F] Figs 3, 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


def scalars(measures: Measures) -> dict[str, float]:
    """Return the factorization score and the mean of each distribution of angles."""
    found = {"factorization": measures.score}
    for kind in ("orthogonality", "parallelism"):
        for name, values in getattr(measures.angles, kind).items():
            found[f"{kind}_{name.replace('-', '_')}"] = float(values.mean())
    return found
