"""R-squared of linear regressions of the labels on the representations ([W] A.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


def scalars(measures: Measures) -> dict[str, float]:
    """Return R-squared of x and y, from the embedding and from the leading principal components."""
    return {
        "r_squared_x": measures.r_squared.x,
        "r_squared_y": measures.r_squared.y,
        "r_squared_pca_x": measures.r_squared_pca.x,
        "r_squared_pca_y": measures.r_squared_pca.y,
    }
