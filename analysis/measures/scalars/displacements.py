"""Factorization: score, additive share, mean angles of displacements ([F] Figs 3, 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


def scalars(measures: Measures) -> dict[str, float]:
    """Return the score, the additive share and the mean of each distribution of angles."""
    found = {"factorization": measures.score, "additive_share": measures.additive_share}
    for kind in ("orthogonality", "parallelism", "alignment"):
        for name, values in getattr(measures.angles, kind).items():
            found[f"{kind}_{name.replace('-', '_')}"] = float(values.mean())
    return found
