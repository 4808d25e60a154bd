"""How many directions the representations use ([F] Fig. 2c, d): effective dimension, variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


def scalars(measures: Measures) -> dict[str, float]:
    """Return the participation ratio and the share of the variance along four components."""
    return {
        "dimension": measures.principal.dimension,
        "variance_top_four": measures.principal.share(4),
    }
