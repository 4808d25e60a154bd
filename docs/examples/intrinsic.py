"""Intrinsic dimension: `analysis/measures/scalars/intrinsic.py` of docs/extending.md.

Maximum likelihood from the distances to the nearest neighbours (Levina and Bickel, NIPS 2004, eq.
8), averaged over points as MacKay and Ghahramani (2005) correct it: 2 for a sheet, however bent.
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
    points = measures.principal.scores  # a rotation: distances are those of the representations
    found, _ = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(points).kneighbors(points)
    distances = found[:, 1:]  # the nearest of all is the point itself
    logs = np.log(distances[:, -1:] / distances[:, :-1])
    return {"intrinsic_dimension": float((NEIGHBOURS - 2) / logs.sum(axis=1).mean())}
