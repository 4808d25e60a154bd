"""Percolation theory of bump data sets: overlap, lattice graphs, clusters, critical counts.

Bumps that overlap are joined; a data set whose bumps form one large cluster lets a model carry
what it learns about one of them to the others ([F] = arXiv 2408.13256, Figs 6, 13 and 14).
"""

from percolation.clusters import (
    CriticalCount,
    MassRatio,
    critical_count,
    growth,
    largest_cluster,
    mass_ratio,
    predict_samples,
    site_orders,
)
from percolation.lattice import Link, Overlap, graph, lattice
from percolation.overlap import continuum, pixel, radius

__all__ = [
    "CriticalCount",
    "Link",
    "MassRatio",
    "Overlap",
    "continuum",
    "critical_count",
    "graph",
    "growth",
    "largest_cluster",
    "lattice",
    "mass_ratio",
    "pixel",
    "predict_samples",
    "radius",
    "site_orders",
]
