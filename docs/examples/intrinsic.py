"""Intrinsic dimension: `analysis/measures/scalars/intrinsic.py` of docs/extending.md.

Maximum-likelihood estimate from nearest-neighbour distances (Levina and Bickel, NIPS 2004, eq. 8),
averaged over points with the correction of MacKay and Ghahramani (2005). A sheet has dimension 2,
however bent it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import NearestNeighbors

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures

NEIGHBOURS = 20


def scalars(measures: Measures) -> dict[str, float]:
    """Return the intrinsic dimension of all samples."""
    points = measures.principal.scores  # PCA scores preserve the distances
    found, _ = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(points).kneighbors(points)
    distances = found[:, 1:]  # the nearest neighbour is the point itself
    logs = np.log(distances[:, -1:] / distances[:, :-1])
    return {"intrinsic_dimension": float((NEIGHBOURS - 1) / logs.sum(axis=1).mean())}
