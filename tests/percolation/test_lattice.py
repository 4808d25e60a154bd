"""Lattices and graphs against a comparison of all pairs."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from percolation import Link, continuum, graph, lattice, pixel, radius

points = st.lists(st.tuples(st.floats(1, 9), st.floats(1, 9)), min_size=0, max_size=12).map(
    lambda values: np.array(values, dtype=float).reshape(-1, 2)
)
thresholds = st.floats(0.01, 0.95)


def all_pairs(centres, strength, threshold):
    """Pairs joined, found by asking every pair."""
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
def test_continuum_graph_joins_what_overlaps(centres, sigma, threshold):
    def strength(a, b):
        return continuum(np.hypot(*(a - b)), sigma)

    result = graph(centres, sigma=sigma, threshold=threshold)
    assert edges(result) == all_pairs(centres, strength, threshold)
    assert list(result) == list(range(len(centres)))


@given(points, st.floats(0.1, 3), thresholds)
def test_pixel_graph_joins_what_overlaps(centres, sigma, threshold):
    """The search radius misses no pair, however the pixels favour it."""

    def strength(a, b):
        return pixel(a, b, 9, sigma)

    result = graph(centres, sigma=sigma, threshold=threshold, overlap="pixel", size=9)
    # A pair within rounding of the threshold may fall on either side of it.
    surely = all_pairs(centres, strength, threshold + 1e-9)
    perhaps = all_pairs(centres, strength, threshold - 1e-9)
    assert surely <= edges(result) <= perhaps


@given(points, st.floats(0.1, 3), thresholds, st.floats(1, 12))
def test_periodic_graph_takes_the_nearest_copy(centres, sigma, threshold, period):
    copies = period * np.array([(i, j) for i in range(-10, 11) for j in range(-10, 11)])

    def strength(a, b):
        return continuum(np.hypot(*(a - b + copies).T).min(), sigma)

    result = graph(centres, sigma=sigma, threshold=threshold, period=period)
    surely = all_pairs(centres, strength, threshold + 1e-9)
    perhaps = all_pairs(centres, strength, threshold - 1e-9)
    assert surely <= edges(result) <= perhaps


def test_square_lattice_is_networkx_s_grid_open_and_periodic():
    centres = lattice(6, 1)
    threshold = float(continuum(1.2, 1))  # nearest neighbours only
    for period, expected in ((None, False), (6.0, True)):
        result = graph(centres, sigma=1, threshold=threshold, period=period)
        grid = nx.grid_2d_graph(6, 6, periodic=expected)
        assert edges(result) == edges(nx.convert_node_labels_to_integers(grid))


def test_a_pair_exactly_at_the_threshold_is_not_joined():
    centres = [(1, 1), (3, 1)]
    threshold = float(continuum(2, 1))
    assert graph(centres, sigma=1, threshold=threshold).number_of_edges() == 0
    assert graph(centres, sigma=1, threshold=math.nextafter(threshold, 0)).number_of_edges() == 1


def test_nodes_hold_their_positions():
    assert graph([(1, 2.5)], sigma=1, threshold=0.5).nodes[0] == {"position": (1.0, 2.5)}


def test_no_centres_make_an_empty_graph():
    assert len(graph(np.empty((0, 2)), sigma=1, threshold=0.5)) == 0


@pytest.mark.parametrize(
    ("size", "spacing", "count", "last"),
    [(32, 0.1, 311 * 311, 32), (8, 0.5, 225, 8), (8, 2, 16, 7), (1, 0.3, 1, 1)],
)
def test_lattice_runs_from_one_to_the_side(size, spacing, count, last):
    centres = lattice(size, spacing)
    assert centres.shape == (count, 2)
    assert centres.min() == 1
    assert centres.max() == pytest.approx(last)


def test_lattice_takes_two_increments():
    centres = lattice(5, (0.5, 2))
    np.testing.assert_array_equal(np.unique(centres[:, 0]), np.arange(1, 5.5, 0.5))
    np.testing.assert_array_equal(np.unique(centres[:, 1]), [1, 3, 5])
    assert len(np.unique(centres, axis=0)) == len(centres) == 27


def test_reaches_all_counts_the_distance_to_the_nearest_site():
    reach = radius(1, 0.5)
    link = Link(sigma=1, threshold=0.5)
    assert link.reaches_all([(0, 0)], [(0, 0), (reach * 0.999, 0)])
    assert not link.reaches_all([(0, 0)], [(0, 0), (reach * 1.001, 0)])
    periodic = Link(sigma=1, threshold=0.5, period=10)
    assert periodic.reaches_all([(0.5, 1)], [(9.5, 1)])
    with pytest.raises(ValueError, match=r"^overlap is 'pixel'"):
        Link(sigma=1, threshold=0.5, overlap="pixel", size=4).reaches_all([(1, 1)], [(1, 1)])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sigma": 0}, "^sigma is 0"),
        ({"threshold": 1}, "^threshold is 1"),
        ({"overlap": "soft"}, "^overlap is 'soft'"),
        ({"overlap": "pixel"}, "^size is None"),
        ({"overlap": "pixel", "size": 0}, "^size is 0"),
        ({"overlap": "pixel", "size": 4, "period": 4}, "^period is 4"),
        ({"period": -1}, "^period is -1"),
    ],
)
def test_a_link_refuses_what_it_cannot_use(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Link(**{"sigma": 1, "threshold": 0.5, **changes})


@pytest.mark.parametrize(("size", "spacing"), [(0, 1), (4, 0), (4, -1), (4, (1, 2, 3)), (4, "nan")])
def test_a_lattice_refuses_what_it_cannot_use(size, spacing):
    with pytest.raises(ValueError, match=r"^(size|spacing) is"):
        lattice(size, spacing)


def test_centres_must_be_pairs():
    with pytest.raises(ValueError, match=r"^centres has shape \(3,\)"):
        graph([1, 2, 3], sigma=1, threshold=0.5)


def test_too_many_pairs_are_refused_before_memory_is_taken():
    with pytest.raises(ValueError, match="pairs of 42,849 centres within reach"):
        graph(lattice(32, 0.15), sigma=1, threshold=0.005)
