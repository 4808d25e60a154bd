"""Lattices, and graphs against a comparison of all pairs."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from percolation import Link, continuum, graph, largest_cluster, lattice, pixel
from tests.helpers.settings import NEAREST

points = st.lists(st.tuples(st.floats(1, 9), st.floats(1, 9)), min_size=0, max_size=12).map(
    lambda values: np.array(values, dtype=float).reshape(-1, 2)
)
thresholds = st.floats(0.01, 0.95)


def all_pairs(centres, strength, threshold):
    """Pairs whose overlap exceeds the threshold."""
    count = range(len(centres))
    return {
        (i, j)
        for i in count
        for j in count
        if i < j and strength(centres[i], centres[j]) > threshold
    }


def edges(result):
    return {tuple(sorted(edge)) for edge in result.edges}


@given(points, st.floats(0.1, 3), thresholds)
def test_graph_continuum_matches_all_pairs(centres, sigma, threshold):
    def strength(a, b):
        return continuum(np.hypot(*(a - b)), sigma)

    result = graph(centres, sigma=sigma, threshold=threshold)
    assert edges(result) == all_pairs(centres, strength, threshold)
    assert list(result) == list(range(len(centres)))


@given(points, st.floats(0.1, 3), thresholds)
def test_graph_pixel_matches_all_pairs(centres, sigma, threshold):
    """The search radius misses no pair, although pixels can raise the overlap."""

    def strength(a, b):
        return pixel(a, b, 9, sigma)

    result = graph(centres, sigma=sigma, threshold=threshold, overlap="pixel", size=9)
    # A pair within rounding of the threshold may fall on either side of it.
    surely = all_pairs(centres, strength, threshold + 1e-9)
    perhaps = all_pairs(centres, strength, threshold - 1e-9)
    assert surely <= edges(result) <= perhaps


@given(points, st.floats(0.1, 3), thresholds, st.floats(1, 12))
def test_graph_periodic_takes_nearest_copy(centres, sigma, threshold, period):
    copies = period * np.array([(i, j) for i in range(-10, 11) for j in range(-10, 11)])

    def strength(a, b):
        return continuum(np.hypot(*(a - b + copies).T).min(), sigma)

    result = graph(centres, sigma=sigma, threshold=threshold, period=period)
    surely = all_pairs(centres, strength, threshold + 1e-9)
    perhaps = all_pairs(centres, strength, threshold - 1e-9)
    assert surely <= edges(result) <= perhaps


def test_graph_square_lattice_matches_networkx_grid():
    centres = lattice(6, 1)
    for period, expected in ((None, False), (6.0, True)):
        result = graph(centres, sigma=1, threshold=NEAREST.threshold, period=period)
        grid = nx.grid_2d_graph(6, 6, periodic=expected)
        assert edges(result) == edges(nx.convert_node_labels_to_integers(grid))


def test_graph_does_not_join_at_threshold():
    centres = [(1, 1), (3, 1)]
    threshold = float(continuum(2, 1))
    assert graph(centres, sigma=1, threshold=threshold).number_of_edges() == 0
    for close, count in ((1e-10, 0), (1e-8, 1)):  # differences of rounding size do not count
        below = threshold * (1 - close)
        assert graph(centres, sigma=1, threshold=below).number_of_edges() == count


def test_graph_nodes_hold_positions():
    assert graph([(1, 2.5)], sigma=1, threshold=0.5).nodes[0] == {"position": (1.0, 2.5)}


def test_graph_of_no_centres_is_empty():
    assert len(graph(np.empty((0, 2)), sigma=1, threshold=0.5)) == 0


@pytest.mark.parametrize(
    ("size", "spacing", "count", "last"),
    [(32, 0.1, 311 * 311, 32), (8, 0.5, 225, 8), (8, 2, 16, 7), (1, 0.3, 1, 1)],
)
def test_lattice_runs_from_one_to_size(size, spacing, count, last):
    centres = lattice(size, spacing)
    assert centres.shape == (count, 2)
    assert centres.min() == 1
    assert centres.max() == pytest.approx(last)


def test_lattice_takes_two_increments():
    centres = lattice(5, (0.5, 2))
    np.testing.assert_array_equal(np.unique(centres[:, 0]), np.arange(1, 5.5, 0.5))
    np.testing.assert_array_equal(np.unique(centres[:, 1]), [1, 3, 5])
    assert len(np.unique(centres, axis=0)) == len(centres) == 27


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sigma": 0}, "^sigma is 0"),
        ({"threshold": 1}, "^threshold is 1"),
        ({"overlap": "soft"}, "^overlap is 'soft'"),
        ({"overlap": "pixel"}, "^size is None"),
        ({"overlap": "pixel", "size": 0}, "^size is 0"),
        ({"overlap": "pixel", "size": 4, "period": 5}, "^period is 5"),
        ({"period": -1}, "^period is -1"),
        ({"period": (1, 2, 3)}, "^period is"),
    ],
)
def test_link_refuses_bad_arguments(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Link(**{"sigma": 1, "threshold": 0.5, **changes})


@pytest.mark.parametrize(("size", "spacing"), [(0, 1), (4, 0), (4, -1), (4, (1, 2, 3)), (4, "nan")])
def test_lattice_refuses_bad_arguments(size, spacing):
    with pytest.raises(ValueError, match=r"^(size|spacing) is"):
        lattice(size, spacing)


def test_graph_refuses_centres_that_are_no_pairs():
    with pytest.raises(ValueError, match=r"^centres has shape \(3,\)"):
        graph([1, 2, 3], sigma=1, threshold=0.5)


def test_graph_refuses_more_pairs_than_memory(monkeypatch):
    monkeypatch.setattr("percolation.memory.available", lambda: 10**9)
    with pytest.raises(
        ValueError, match=r"pairs of 42,849 sites, which would take .* GB of memory, but 1\.0 GB"
    ):
        graph(lattice(32, 0.15), sigma=1, threshold=0.005)


def test_link_pairs_period_differs_between_axes():
    link = Link(sigma=1, threshold=NEAREST.threshold, period=(4.0, 9.0))
    pairs = link.pairs([(1, 1), (4, 1), (1, 9)])
    assert set(map(tuple, pairs.tolist())) == {(0, 1), (0, 2)}


def test_largest_cluster_of_known_graphs():
    assert largest_cluster(nx.empty_graph(0)) == frozenset()
    assert largest_cluster(nx.empty_graph(3)) == {0}
    assert largest_cluster(nx.disjoint_union(nx.path_graph(2), nx.cycle_graph(4))) == {2, 3, 4, 5}
