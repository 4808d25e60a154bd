"""How graph libraries find the clusters of a percolation curve, each in its fastest ways.

* plain: the components of the kept sites, a subgraph of a graph built before, at every lambda.
* rebuilt: of a new graph instead. With 4 neighbours networkx is faster so, by half.
* nested: every pair once, as clusters at one lambda are parts of those at the next. Pairs that
  are new at a lambda are taken between the clusters so far (array operations), and the library
  finds the components of these. With 4 neighbours networkx is faster with its union-find.

Slower were: for plain, a new graph of the pairs so far (scipy, igraph, rustworkx), rows and
columns put into the order once (scipy); for nested, a graph that grows from lambda to lambda
(networkx, igraph, rustworkx), one that is taken apart (igraph), a minimum spanning tree (scipy).
"""

# Only the process that measures a library imports it, after a look at its own memory.
# ruff: noqa: PLC0415

from collections.abc import Callable, Collection, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
    import rustworkx
    from numpy.typing import NDArray
    from scipy.sparse import coo_array

    Ints = NDArray[np.integer[Any]]
    Curve = Callable[[Ints, Ints], list[int]]
    """Sizes of the largest cluster, from the order of the sites and the numbers kept."""


def counts_of(sites: int) -> "Ints":
    """Numbers of sites kept at the 50 lambdas."""
    import numpy as np

    return np.array([max(1, round(step / 50 * sites)) for step in range(1, 51)])


def pairs_of(side: int, radius2: int) -> "Ints":
    """Pairs of linked sites, each once, shape (pairs, 2); written in place, to leave no peak."""
    import numpy as np

    reach = min(int(radius2**0.5), side - 1)
    steps = [
        (a, b)
        for a in range(reach + 1)
        for b in range(-reach, reach + 1)
        if (a, b) > (0, 0) and a * a + b * b <= radius2
    ]
    site = np.arange(side * side, dtype=np.int32).reshape(side, side)
    pairs = np.empty((sum((side - a) * (side - abs(b)) for a, b in steps), 2), dtype=np.int32)
    end = 0
    for a, b in steps:
        begin, end = end, end + (side - a) * (side - abs(b))
        block = pairs[begin:end].reshape(side - a, side - abs(b), 2)
        block[..., 0] = site[: side - a, max(0, -b) : side - max(0, b)]
        block[..., 1] = site[a:, max(0, b) : side + min(0, b)]
    return pairs


def by_arrival(order: "Ints", counts: "Ints", pairs: "Ints") -> tuple["Ints", "Ints", "Ints"]:
    """Pairs as places in the order, grouped by the lambda they come at, and the groups' ends."""
    import numpy as np

    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    group = np.repeat(np.arange(50, dtype=np.uint8), np.diff(counts, prepend=0))
    first, second = rank[pairs[:, 0]], rank[pairs[:, 1]]
    groups = group[np.maximum(first, second)]
    by_group = np.argsort(groups, kind="stable")  # of 8-bit numbers: a radix sort
    return first[by_group], second[by_group], np.cumsum(np.bincount(groups, minlength=50))


def nested(pairs: "Ints", components: "Callable[[int, Ints, Ints], Ints]") -> "Curve":
    """A curve from the components of what is new at every lambda.

    Args:
        pairs: All pairs of linked sites.
        components: Labels of the components of a graph: its number of nodes and its edges' ends.
    """
    import numpy as np

    def curve(order: "Ints", counts: "Ints") -> list[int]:
        first, second, ends = by_arrival(order, counts, pairs)
        cluster = np.empty(len(order), dtype=np.int32)
        sizes: list[int] = []
        clusters = kept = begin = 0
        for count, end in zip(counts.tolist(), ends.tolist(), strict=True):
            cluster[kept:count] = np.arange(clusters, clusters + count - kept)
            clusters += count - kept
            one, other = cluster[first[begin:end]], cluster[second[begin:end]]
            apart = np.flatnonzero(one != other)
            label = components(clusters, one[apart], other[apart])
            cluster[:count] = label[cluster[:count]]
            clusters = int(label.max()) + 1
            sizes.append(int(np.bincount(cluster[:count]).max()))
            kept, begin = count, end
        return sizes

    return curve


def labels(sites: int, components: Iterable[Collection[int]]) -> "Ints":
    """Component of every node, from the components as sets of nodes."""
    import numpy as np

    sets = list(components)
    label = np.empty(sites, dtype=np.int32)
    nodes = np.fromiter(chain.from_iterable(sets), dtype=np.int64, count=sites)
    label[nodes] = np.repeat(np.arange(len(sets), dtype=np.int32), [len(nodes) for nodes in sets])
    return label


def tuples(first: "Ints", second: "Ints") -> list[tuple[int, int]]:
    """Edges as the libraries read them fastest (igraph reads arrays more slowly)."""
    return list(zip(first.tolist(), second.tolist(), strict=True))


def with_networkx(idiom: str, sites: int, pairs: "Ints") -> "Curve":
    import networkx as nx

    def graph(nodes: int, edges: Iterable[tuple[int, int]]) -> "nx.Graph[int]":
        result: nx.Graph[int] = nx.Graph()
        result.add_nodes_from(range(nodes))
        result.add_edges_from(edges)
        return result

    def largest(kept: "nx.Graph[int]") -> int:
        return max(map(len, nx.connected_components(kept)))

    def new_graphs(order: "Ints", counts: "Ints") -> list[int]:
        first, second, ends = by_arrival(order, counts, pairs)
        edges = tuples(first, second)
        both = zip(counts.tolist(), ends.tolist(), strict=True)
        return [largest(graph(count, edges[:end])) for count, end in both]

    def union_find(order: "Ints", counts: "Ints") -> list[int]:
        first, second, ends = by_arrival(order, counts, pairs)
        edges = tuples(first, second)
        sizes, begin, trees = [], 0, nx.utils.UnionFind()
        for end in ends.tolist():
            for one, other in edges[begin:end]:
                trees.union(one, other)
            sizes.append(max(trees.weights.values(), default=1))
            begin = end
        return sizes

    few = len(pairs) < 5 * sites
    if idiom == "nested":
        by_sets = lambda n, a, b: labels(n, nx.connected_components(graph(n, tuples(a, b))))  # noqa: E731
        return union_find if few else nested(pairs, by_sets)
    if idiom == "rebuilt":
        return new_graphs
    whole = graph(sites, zip(*pairs.T.tolist(), strict=True))
    return lambda order, counts: [largest(whole.subgraph(order[:k].tolist())) for k in counts]


def with_scipy(idiom: str, sites: int, pairs: "Ints") -> "Curve":
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    def graph(nodes: int, first: "Ints", second: "Ints") -> "coo_array":
        return coo_array((np.ones(len(first)), (first, second)), shape=(nodes, nodes))

    if idiom == "nested":
        return nested(
            pairs, lambda n, a, b: connected_components(graph(n, a, b), directed=False)[1]
        )
    whole = graph(sites, pairs[:, 0], pairs[:, 1]).tocsr()

    def largest(kept: "Ints") -> int:
        part = whole[kept][:, kept]
        return int(np.bincount(connected_components(part, directed=False)[1]).max())

    # Rows are copied faster in their own order.
    return lambda order, counts: [largest(np.sort(order[:k])) for k in counts]


def with_igraph(idiom: str, sites: int, pairs: "Ints") -> "Curve":
    import igraph
    import numpy as np

    if idiom == "nested":
        return nested(
            pairs, lambda n, a, b: np.array(igraph.Graph(n, tuples(a, b)).components().membership)
        )
    whole = igraph.Graph(sites, pairs.astype(np.int64))  # more slowly, but untimed and compact

    def largest(kept: list[int]) -> int:
        return max(whole.induced_subgraph(kept).components().sizes())

    return lambda order, counts: [largest(order[:k].tolist()) for k in counts]


def with_rustworkx(idiom: str, sites: int, pairs: "Ints") -> "Curve":
    import rustworkx

    def graph(nodes: int, edges: list[tuple[int, int]]) -> "rustworkx.PyGraph[int, None]":
        result: rustworkx.PyGraph[int, None] = rustworkx.PyGraph(multigraph=True)
        result.add_nodes_from(range(nodes))
        result.extend_from_edge_list(edges)
        return result

    components = rustworkx.connected_components
    if idiom == "nested":
        return nested(pairs, lambda n, a, b: labels(n, components(graph(n, tuples(a, b)))))
    whole = graph(sites, [])
    for begin in range(0, len(pairs), 65_536):  # as a list of tuples all would fill the memory
        whole.extend_from_edge_list(tuples(*pairs[begin : begin + 65_536].T))

    def largest(kept: list[int]) -> int:
        return max(map(len, components(whole.subgraph(kept))))

    return lambda order, counts: [largest(order[:k].tolist()) for k in counts]


LIBRARIES = {
    "networkx": ("networkx", with_networkx),
    "scipy": ("scipy.sparse.csgraph", with_scipy),
    "igraph": ("igraph", with_igraph),
    "rustworkx": ("rustworkx", with_rustworkx),
}
"""What to import, and what makes a curve of an idiom, the number of sites and the pairs."""

IDIOMS = ("plain", "rebuilt", "nested")


def serves(library: str, idiom: str, radius2: int) -> bool:
    """Whether an idiom is among the fastest of a library on a lattice."""
    return idiom != "rebuilt" or (library == "networkx" and radius2 < 2)
