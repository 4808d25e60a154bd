"""Reference implementation of percolation, as a networkx graph.

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
    """Build the graph of linked bumps: one node per centre, one edge per linked pair.

    Args:
        centres: Bump centres (x, y) in pixels, shape (n, 2).
        sigma: Spread of the bumps in pixels.
        threshold: Overlap that a linked pair strictly exceeds.
        overlap: Definition of the overlap, `continuum` or `pixel`.
        size: Side N of the frame in pixels, for the pixel overlap.
        period: Period of a periodic canvas in pixels, one number for both axes or one for each;
            None for an open canvas.

    Returns:
        A graph on the nodes 0 to n - 1, in the order of `centres`. The node attribute `position`
        holds (x, y) in pixels.

    Raises:
        ParameterError: A parameter is out of its range (see `Link`), or memory does not suffice.

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
    """Return the nodes of the largest connected component; the empty set for an empty graph.

    Ties go to the component that comes first in node order. The cost is O(V + E).

    Example:
        >>> sorted(largest_cluster(nx.Graph([(0, 1), (1, 2), (3, 4)])))
        [0, 1, 2]
    """
    return frozenset(max(nx.connected_components(graph), key=len, default=frozenset()))
