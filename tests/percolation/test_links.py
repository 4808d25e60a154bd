"""Stencils and neighbour lists: numbers of neighbours, runs of sites, and bad arguments."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab.data.lattice import frame_labels
from factorlab.parsing import parse
from percolation import Link, lattice, lattice_links, neighbours, radius, square_links
from percolation.links import Neighbours, Stencil


@pytest.mark.parametrize(
    ("radius2", "count"), [(1, 4), (2, 8), (4, 12), (5, 20), (8, 24), (10, 36), (25, 80)]
)
def test_square_links_known_neighbour_counts(radius2, count):
    assert square_links(64, radius2).neighbours == count
    assert square_links(64, radius2 + 0.5).neighbours == count


@given(st.floats(1, 900))
def test_square_links_neighbours_are_points_of_a_disc(radius2):
    offsets = range(-30, 31)
    inside = sum(a * a + b * b <= radius2 for a in offsets for b in offsets)
    assert square_links(70, radius2, periodic=False).neighbours == inside - 1


@given(st.floats(1, 150), st.booleans())
def test_stencil_runs_cover_it_once(radius2, periodic):
    links = square_links(40, radius2, periodic=periodic)
    sites = [(a, b) for a, first, last in links.runs for b in range(first, last + 1)]
    assert len(sites) == len(set(sites)) == links.neighbours
    assert (0, 0) not in sites
    for _, first, last in links.runs:
        assert (last - first) ** 2 <= radius2
    reach = int(np.sqrt(radius2))
    assert set(sites) == {
        (a, b)
        for a, b in itertools.product(range(-reach, reach + 1), repeat=2)
        if 0 < a * a + b * b <= radius2
    }


def test_lattice_links_reach_of_overlap():
    links = lattice_links(64, 0.5, Link(sigma=1, threshold=0.05))
    assert isinstance(links, Stencil)
    assert links.half_widths[0] == int(radius(1, 0.05) / 0.5)
    uneven = lattice_links(64, (0.5, 2.0), Link(sigma=1, threshold=0.05))
    assert uneven.half_widths[0] == int(radius(1, 0.05) / 2)
    assert len(uneven.half_widths) == 1 + int(radius(1, 0.05) / 0.5)


@given(st.integers(1, 7), st.integers(1, 7), st.floats(1, 60), st.booleans())
def test_stencil_neighbours_of_small_lattice(n_x, n_y, radius2, periodic):
    count = [n // 2 + 1 if periodic else n for n in (n_x, n_y)]
    near = np.arange(count[0])[:, None] ** 2 + np.arange(count[1]) ** 2 <= radius2
    widths = near.sum(axis=1)
    links = Stencil(shape=(n_x, n_y), half_widths=widths[widths > 0] - 1, periodic=periodic)
    sites = list(itertools.product(range(n_x), range(n_y)))

    def linked(one, other):
        apart = np.abs(np.subtract(one, other))
        if periodic:
            apart = np.minimum(apart, np.array([n_x, n_y]) - apart)
        return 0 < (apart**2).sum() <= radius2

    assert links.neighbours == max(sum(linked(a, b) for b in sites) for a in sites)


def test_neighbours_lists_known_case():
    links = neighbours([(1, 1), (2, 1), (3, 1), (9, 9)], Link(sigma=1, threshold=0.9))
    assert isinstance(links, Neighbours)
    assert links.sites == 4
    assert links.neighbours == 2
    np.testing.assert_array_equal(links.starts, [0, 1, 3, 4, 4])
    assert neighbours(np.empty((0, 2)), Link(sigma=1, threshold=0.9)).sites == 0


def test_lattice_links_periodic_matches_frame_labels():
    for spacing in (0.5, 2.0):
        data = parse({"data": {"size": 8, "spacing": spacing, "periodic": True}}).data
        centres = lattice(8, spacing, periodic=True)
        np.testing.assert_allclose(np.unique(centres), np.unique(frame_labels(data)))
        assert len(centres) == len(frame_labels(data))
        links = lattice_links(8, spacing, Link(sigma=1, threshold=0.5), periodic=True)
        assert links.sites == len(centres)
    with pytest.raises(ValueError, match=r"^spacing is 3.0, but it must divide size = 8"):
        lattice(8, 3.0, periodic=True)
    with pytest.raises(ValueError, match=r"^spacing is 90.0, but it must divide size = 8"):
        lattice(8, 90.0, periodic=True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 1), r"^side is 0"),
        ((4, 0), "^radius2 is 0"),
        ((4, float("nan")), "^radius2 is nan"),
        ((10**7, 1), "^side = 10000000 asks for a lattice of 100,000,000,000,000 sites, which wo"),
    ],
)
def test_square_links_refuses_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        square_links(*arguments)


def test_lattice_links_refuses_more_sites_than_memory():
    link = Link(sigma=1, threshold=0.5)
    for build in (lambda: lattice_links(32, 1e-5, link), lambda: lattice(32, 1e-5)):
        with pytest.raises(ValueError, match=r"sites, which would take [\d,]+\.\d GB of memory"):
            build()
    with pytest.raises(ValueError, match="too small to count"):
        lattice(32, 1e-320)


def test_square_links_refuses_more_sites_than_int32(monkeypatch):
    monkeypatch.setattr("percolation.memory.available", lambda: 10**18)
    with pytest.raises(ValueError, match="at most 2,147,483,647 sites can be numbered"):
        square_links(50_000, 1)


def test_neighbours_know_their_longest_link():
    link = Link(sigma=1, threshold=0.9)
    points = np.array([(1.0, 1.0), (1.5, 1.0), (1.5, 1.6), (9.0, 9.0)])
    links = neighbours(points, link)
    assert links.longest == pytest.approx(np.hypot(0.5, 0.6))
