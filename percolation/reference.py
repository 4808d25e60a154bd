"""The reference implementation: percolation as a networkx graph.

Every node and edge can be inspected. The engine (`percolation.union_find`) is tested against it.
"""

import networkx as nx
from numpy.typing import ArrayLike

from percolation.lattice import Link, Overlap, check_centres


def graph(
    centres: ArrayLike,
    *,
    sigma: float,
    threshold: float,
    overlap: Overlap = "continuum",
    size: int | None = None,
    period: float | tuple[float, float] | None = None,
) -> "nx.Graph[int]":
    """The graph of joined bumps: one node per centre, an edge where the overlap is large enough.

    Args:
        centres: Bump centres (x, y) in pixels, shape (n, 2).
        sigma: Spread of the bumps in pixels.
        threshold: An edge needs an overlap strictly above it.
        overlap: How overlap is measured, `continuum` or `pixel`.
        size: Side N of the frame in pixels, for the pixel overlap.
        period: Circumference in pixels, of both axes or of each, if the canvas closes on itself.

    Returns:
        A graph on the nodes 0 to n - 1, in the order of `centres`; the node attribute
        `position` holds (x, y).

    Raises:
        ParameterError: A parameter is out of its range (see `Link`), or there is no
            memory for the pairs.

    Example:
        >>> graph([(1, 1), (2, 1), (9, 9)], sigma=1, threshold=0.5).number_of_edges()
        1
    """
    link = Link(sigma=sigma, threshold=threshold, overlap=overlap, size=size, period=period)
    points = check_centres(centres)
    result: nx.Graph[int] = nx.Graph()
    for node, (x, y) in enumerate(points.tolist()):
        result.add_node(node, position=(x, y))
    result.add_edges_from(map(tuple, link.pairs(points).tolist()))
    return result


def largest_cluster(graph: "nx.Graph[int]") -> frozenset[int]:
    """Nodes of the largest connected component; the empty set for an empty graph.

    Among components of equal size the first in node order is taken. The cost is O(V + E).

    Example:
        >>> sorted(largest_cluster(nx.Graph([(0, 1), (1, 2), (3, 4)])))
        [0, 1, 2]
    """
    return frozenset(max(nx.connected_components(graph), key=len, default=frozenset()))
