"""Cluster growth against connected components, known cases and known laws."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from percolation import (
    Link,
    continuum,
    critical_count,
    graph,
    growth,
    largest_cluster,
    lattice,
    mass_ratio,
    predict_samples,
    site_orders,
)

# Nearest neighbours of a lattice of increment 1.
NEAREST = Link(sigma=1, threshold=float(continuum(1.2, 1)))


def largest_by_components(centres, link):
    """Size of the largest cluster of exactly these sites, by SciPy."""
    pairs = link.pairs(centres)
    weights = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(centres), len(centres)))
    _, label = connected_components(weights.tocsr(), directed=False)
    return np.bincount(label).max()


@settings(max_examples=40)
@given(
    st.integers(2, 7),
    st.sampled_from([0.5, 1.0]),
    st.floats(0.2, 2),
    st.floats(0.02, 0.9),
    st.sampled_from(["continuum", "pixel", "periodic"]),
    st.integers(0, 2**32),
)
def test_growth_is_the_largest_component_at_every_count(
    size, spacing, sigma, threshold, kind, seed
):
    centres = lattice(size, spacing)
    link = Link(
        sigma=sigma,
        threshold=threshold,
        overlap="pixel" if kind == "pixel" else "continuum",
        size=size if kind == "pixel" else None,
        period=float(size) if kind == "periodic" else None,
    )
    order = np.random.default_rng(seed).permutation(len(centres))
    expected = [largest_by_components(centres[order[:k]], link) for k in range(1, len(order) + 1)]
    np.testing.assert_array_equal(growth(centres, order, link), expected)


def test_growth_is_the_largest_component_where_it_stops_early():
    centres = lattice(12, 0.25)  # 2025 sites, of which some 60 reach all others
    link = Link(sigma=1, threshold=0.3)
    order = next(site_orders(len(centres), 1, seed=3))
    sizes = growth(centres, order, link)
    for k in (1, 5, 20, 40, 64, 65, 128, 300, 2025):
        assert sizes[k - 1] == largest_by_components(centres[order[:k]], link)


def test_largest_cluster_in_known_cases():
    assert largest_cluster(nx.empty_graph(0)) == frozenset()
    assert largest_cluster(nx.empty_graph(3)) == {0}
    assert largest_cluster(nx.disjoint_union(nx.path_graph(2), nx.cycle_graph(4))) == {2, 3, 4, 5}


def test_networkx_and_the_growth_agree_on_the_whole_lattice():
    centres = lattice(9, 2)
    for threshold in (0.1, float(continuum(1.9, 1))):
        link = Link(sigma=1, threshold=threshold)
        whole = len(largest_cluster(graph(centres, sigma=1, threshold=threshold)))
        assert growth(centres, np.arange(25), link)[-1] == whole


def test_a_whole_lattice_of_neighbours_is_one_cluster():
    result = mass_ratio(lattice(10, 1), [1.0], NEAREST, realisations=5)
    assert result.mass_ratio_kept == 1
    assert result.mass_ratio_all == 1
    assert result.kept_error == 0


def test_bumps_that_never_meet_stay_single():
    alone = Link(sigma=0.01, threshold=0.5)
    result = mass_ratio(lattice(5, 1), [0.2, 0.6, 1.0], alone, realisations=4)
    np.testing.assert_allclose(result.mass_ratio_kept, [1 / 5, 1 / 15, 1 / 25])
    np.testing.assert_allclose(result.mass_ratio_all, 1 / 25)
    assert critical_count(lattice(5, 1), alone).value is None
    assert critical_count(lattice(5, 1), alone).error is None


def test_a_lattice_of_one_site():
    result = mass_ratio(lattice(1, 1), [1.0], NEAREST, realisations=1)
    assert result.mass_ratio_kept == 1
    assert math.isnan(result.kept_error[0])
    with pytest.raises(ValueError, match=r"^centres holds 1 site"):
        critical_count(lattice(1, 1), NEAREST)


def test_mean_over_all_orders_of_a_chain():
    """Two of three sites in a row: neighbours in 2 of 3 draws, so the mean is 5/3 sites."""
    chain = np.array([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)])
    orders = itertools.permutations(range(3))
    mean = np.mean([growth(chain, order, NEAREST) for order in orders], axis=0)
    np.testing.assert_allclose(mean, [1, 5 / 3, 3])
    drawn = mass_ratio(chain, [2 / 3], NEAREST, realisations=1500, seed=1)
    assert abs(drawn.mass_ratio_kept[0] - 5 / 6) < 4 * drawn.kept_error[0]


def test_square_lattice_percolates_near_its_known_threshold():
    """Site percolation on the square lattice: p_c = 0.5927 (Newman and Ziff 2000)."""
    result = mass_ratio(lattice(31, 1), [0.45, 0.5927, 0.75], NEAREST, realisations=20)
    below, _, above = result.mass_ratio_kept
    assert below < 0.2
    assert above > 0.9


def test_kept_sites_are_counted_exactly():
    result = mass_ratio(lattice(5, 1), [0.1, 0.3, 1.0], NEAREST, realisations=2)
    np.testing.assert_array_equal(result.sites_kept, [2, 8, 25])
    np.testing.assert_allclose(
        result.mass_ratio_kept * result.sites_kept, result.mass_ratio_all * 25
    )


def test_the_same_seed_gives_the_same_curve_and_another_seed_another():
    def curve(seed):
        return mass_ratio(lattice(9, 1), [0.3, 0.5], NEAREST, seed=seed).mass_ratio_kept

    np.testing.assert_array_equal(curve(7), curve(7))
    assert not np.array_equal(curve(7), curve(8))


def test_realisations_do_not_depend_on_their_number():
    few = list(site_orders(20, 3, seed=5))
    many = list(site_orders(20, 8, seed=5))
    np.testing.assert_array_equal(few, many[:3])
    assert len({tuple(order) for order in many}) == 8


@given(st.integers(0, 1000))
def test_nested_sites_can_only_grow_the_largest_cluster(seed):
    order = next(site_orders(49, 1, seed))
    sizes = growth(lattice(7, 1), order, NEAREST)
    steps = np.diff(sizes)
    assert (steps >= 0).all()
    assert sizes[0] == 1
    assert sizes[-1] == 49


def test_critical_count_is_the_last_rise_through_the_level():
    """In a row of far, far, near, ... the ratio dips to 1/3 and returns to 3/5 at five sites."""
    row = np.array([(1.0, 1.0), (11.0, 1.0), (21.0, 1.0), (22.0, 1.0), (23.0, 1.0)])
    np.testing.assert_array_equal(growth(row, np.arange(5), NEAREST), [1, 1, 1, 2, 3])
    counts = critical_count(row, NEAREST, level=0.6, realisations=30).counts
    for order, count in zip(site_orders(5, 30, seed=0), counts, strict=True):
        ratio = growth(row, order, NEAREST) / np.arange(1, 6)
        assert (ratio[count - 1 :] >= 0.6).all()
        assert count == 2 or ratio[count - 2] < 0.6


def test_bumps_that_always_meet_cross_at_two():
    result = critical_count(lattice(3, 1), Link(sigma=5, threshold=0.05), realisations=3)
    assert result.value == 2
    assert result.error == 0
    assert critical_count(lattice(3, 1), NEAREST, realisations=1).error is None


def test_predicted_samples_grow_with_the_area_of_the_frame():
    """Continuum percolation sets a density: twice the side takes four times the samples."""
    small, large = (
        predict_samples(size, 0.5, sigma=0.5, threshold=0.5, realisations=60) for size in (17, 33)
    )
    assert small.value is not None
    assert large.value is not None
    assert math.log2(large.value / small.value) == pytest.approx(2, abs=0.25)


def test_predicted_samples_agree_with_continuum_percolation():
    """Discs percolate at 1.128 discs of their own area (Quintanilla and Ziff 2007); there, in a
    finite frame and at a mass ratio of 0.6, the crossing lies within a third of that density."""
    link = Link(sigma=0.5, threshold=0.5)
    disc = math.pi * (2 * 0.5 * math.sqrt(math.log(2))) ** 2  # discs of half the link's reach
    expected = 1.128 * 32**2 / disc
    result = critical_count(lattice(33, 0.25), link, realisations=8)
    assert result.value is not None
    assert 1 < result.value / expected < 1.33


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5, math.nan, 0.001])
def test_a_share_must_keep_a_site(fraction):
    with pytest.raises(ValueError, match=r"^lambda is"):
        mass_ratio(lattice(4, 1), [fraction], NEAREST)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"level": 0}, "^level is 0"),
        ({"level": 1.2}, "^level"),
        ({"realisations": 0}, "^realisati"),
    ],
)
def test_a_crossing_refuses_what_it_cannot_use(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        critical_count(lattice(4, 1), NEAREST, **changes)
