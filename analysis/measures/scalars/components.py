"""Effective dimension and variance of the leading components ([F] Fig. 2c, d)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


def scalars(measures: Measures) -> dict[str, float]:
    """Return the participation ratio and the variance share of the first four components."""
    return {
        "dimension": measures.principal.dimension,
        "variance_top_four": measures.principal.share(4),
    }
