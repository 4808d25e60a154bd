"""Percolation theory of bump data sets: overlap, linked sites, clusters, critical points.

Bumps that overlap are linked. If the bumps of a data set form one large cluster, a model can
transfer what it learns about one bump to the others ([F] = arXiv 2408.13256, Figs 6, 13 and 14).

Start with `graph`, which returns a networkx graph. `lattice_links`, `mass_ratio` and
`critical_point` use a compiled engine, which is tested against `graph`.
"""

from percolation.critical import CriticalPoint, critical_fraction, critical_point
from percolation.curves import MassRatio, Occupation, even_fractions, mass_ratio
from percolation.errors import ParameterError
from percolation.lattice import Link, Overlap, lattice, lattice_shape
from percolation.links import Links, Neighbours, Stencil, lattice_links, neighbours, square_links
from percolation.overlap import continuum, pixel, radius
from percolation.reference import graph, largest_cluster
from percolation.samples import CriticalCount, critical_count, predict_samples
from percolation.union_find import Growth, growth, labels

__all__ = [
    "CriticalCount",
    "CriticalPoint",
    "Growth",
    "Link",
    "Links",
    "MassRatio",
    "Neighbours",
    "Occupation",
    "Overlap",
    "ParameterError",
    "Stencil",
    "continuum",
    "critical_count",
    "critical_fraction",
    "critical_point",
    "even_fractions",
    "graph",
    "growth",
    "labels",
    "largest_cluster",
    "lattice",
    "lattice_links",
    "lattice_shape",
    "mass_ratio",
    "neighbours",
    "pixel",
    "predict_samples",
    "radius",
    "square_links",
]
