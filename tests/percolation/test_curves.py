"""Mass ratio and mean cluster size against networkx, closed forms and known laws."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from percolation import Link, graph, lattice, lattice_links, mass_ratio, square_links
from percolation.union_find import generator_of
from tests.helpers.rounding import DOUBLE, EXACT, gamma
from tests.helpers.settings import NEAREST


def chain(sites):
    """Sites in a row, each linked with the next."""
    return lattice_links(sites, (2.0 * sites, 1.0), NEAREST)


def test_mass_ratio_matches_networkx():
    fractions = [0.1, 0.3, 0.55, 0.9]
    result = mass_ratio(lattice_links(6, 1, NEAREST), fractions, realisations=8, seed=4)
    reference = graph(lattice(6, 1), sigma=1, threshold=NEAREST.threshold)
    kept_ratios, all_ratios, mean_sizes = [], [], []
    for realisation in range(8):
        order = generator_of(4, realisation)
        sites = draw(order, 36)
        for fraction in fractions:
            kept = sites[: round(fraction * 36)]
            sizes = sorted(map(len, nx.connected_components(reference.subgraph(kept))))
            kept_ratios.append(sizes[-1] / len(kept))
            all_ratios.append(sizes[-1] / 36)
            mean_sizes.append(sum(size**2 for size in sizes[:-1]) / len(kept))
    for values, mean, error in (
        (kept_ratios, result.mass_ratio_kept, result.kept_error),
        (all_ratios, result.mass_ratio_all, result.all_error),
        (mean_sizes, result.mean_size, result.size_error),
    ):
        table = np.reshape(values, (8, 4))
        np.testing.assert_allclose(mean, table.mean(axis=0), rtol=EXACT)
        # Where all values are equal, the error is the rounding of their mean.
        alike = gamma(10, DOUBLE) * table.max()
        np.testing.assert_allclose(error, stats.sem(table, axis=0), rtol=EXACT, atol=alike)


def draw(generator, sites):
    """The order of a pass, by a Fisher-Yates shuffle."""
    order = list(range(sites))
    for place in range(sites):
        other = place + int(generator.random() * (sites - place))
        order[place], order[other] = order[other], order[place]
    return order


def test_mass_ratio_sites_kept():
    links = lattice_links(5, 1, NEAREST)
    exact = mass_ratio(links, [0.0, 0.1, 0.3, 1.0], realisations=2)
    np.testing.assert_array_equal(exact.sites_kept, [0, 3, 8, 25])  # halves are rounded up
    smoothed = mass_ratio(links, [0.1], occupation="smoothed", realisations=2)
    assert smoothed.sites_kept[0] == 2.5


@pytest.mark.parametrize("occupation", ["exact", "probability", "smoothed"])
def test_mass_ratio_of_nothing_and_everything(occupation):
    result = mass_ratio(square_links(6, 1), [0.0, 1.0], occupation=occupation, realisations=3)
    for values in (result.mass_ratio_kept, result.mass_ratio_all):
        np.testing.assert_allclose(values, [0, 1], rtol=EXACT)
    np.testing.assert_allclose(result.mean_size, 0, atol=EXACT)
    np.testing.assert_allclose(result.kept_error, 0, atol=gamma(10, DOUBLE))


def test_mass_ratio_of_bumps_that_never_meet():
    alone = lattice_links(5, 1, Link(sigma=0.01, threshold=0.5))
    result = mass_ratio(alone, [0.2, 0.6, 1.0], realisations=4)
    np.testing.assert_allclose(result.mass_ratio_kept, [1 / 5, 1 / 15, 1 / 25])
    np.testing.assert_allclose(result.mass_ratio_all, 1 / 25)
    np.testing.assert_allclose(result.mean_size, [4 / 5, 14 / 15, 24 / 25])


def test_mass_ratio_of_one_site():
    result = mass_ratio(lattice_links(1, 1, NEAREST), [1.0], realisations=1)
    assert result.mass_ratio_kept == 1
    assert math.isnan(result.kept_error[0])


def test_mass_ratio_two_of_three_in_a_row():
    """Two draws of three are neighbours: the mean ratio is 2/3 + 1/3 * 1/2."""
    drawn = mass_ratio(chain(3), [2 / 3], realisations=1500, seed=1)
    assert abs(drawn.mass_ratio_kept[0] - 5 / 6) < 4 * drawn.kept_error[0]


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_mass_ratio_mean_size_of_long_row(share):
    """In one dimension the mean size is (1 + p) / (1 - p) (Stauffer and Aharony, ch. 2)."""
    result = mass_ratio(chain(60_000), [share], occupation="probability", realisations=20)
    largest = result.mass_ratio_all * 60_000
    mean = result.mean_size + largest**2 / (share * 60_000)
    error = result.size_error + 2 * largest / share * result.all_error
    assert abs(mean[0] - (1 + share) / (1 - share)) < 4 * error[0]


@settings(max_examples=25)
@given(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-9, 1)), st.integers(0, 100))
def test_mass_ratio_smoothed_is_binomial_average(share, seed):
    links = square_links(5, 1)
    counts = np.arange(26)
    whole = mass_ratio(links, (counts / 25).tolist(), realisations=1, seed=seed)
    weights = stats.binom.pmf(counts, 25, share)
    smoothed = mass_ratio(links, [share], occupation="smoothed", realisations=1, seed=seed)
    assert smoothed.mass_ratio_kept[0] == pytest.approx(weights @ whole.mass_ratio_kept)
    assert smoothed.mass_ratio_all[0] == pytest.approx(weights @ whole.mass_ratio_all)
    assert smoothed.mean_size[0] == pytest.approx(weights @ whole.mean_size)


def test_mass_ratio_smoothed_share_too_small():
    tiny = mass_ratio(square_links(5, 1), [2.3e-308], occupation="smoothed", realisations=1)
    assert tiny.mass_ratio_kept[0] == 0


def test_mass_ratio_probability_averages_to_smoothed():
    links = square_links(8, 1)
    fractions = [0.7, 0.2, 0.5]  # in any order
    drawn = mass_ratio(links, fractions, occupation="probability", realisations=3000)
    smoothed = mass_ratio(links, fractions, occupation="smoothed", realisations=3000)
    error = np.hypot(drawn.kept_error, smoothed.kept_error)
    assert (np.abs(drawn.mass_ratio_kept - smoothed.mass_ratio_kept) < 4 * error).all()
    assert (drawn.all_error > smoothed.all_error).all()


def test_mass_ratio_across_the_square_lattice_threshold():
    """The threshold is 0.5927 (Newman and Ziff 2001), where the ratio falls like L^(-5/48)."""
    shares = [0.5, 0.592746, 0.7]
    small, large = (
        mass_ratio(square_links(side, 1), shares, realisations=20) for side in (64, 128)
    )
    fall = large.mass_ratio_all / small.mass_ratio_all
    relative = [result.all_error / result.mass_ratio_all for result in (small, large)]
    error = fall * np.hypot(*relative)
    law = 2 ** (-5 / 48)
    assert fall[0] + 4 * error[0] < law  # below, the largest cluster is lost in the lattice
    assert abs(fall[1] - law) < 4 * error[1]
    assert abs(fall[2] - 1) < 4 * error[2]  # above, it holds a fixed share
    below, at, above = large.mass_ratio_all
    assert below < 0.03 < 0.2 < at < 0.6  # 40 realisations gave 0.018 and 0.39
    # Lone sites and pairs are outside of it; all larger finite clusters hold less than these.
    outside = 0.7 * 0.3**4 + 4 * 0.7**2 * 0.3**6
    assert 0.7 - 2 * outside < above < 0.7 - outside


def test_mass_ratio_at_threshold_falls_with_known_exponent():
    """At the threshold the mass ratio falls like L^(-beta/nu), beta/nu = 5/48."""
    small, large = (
        mass_ratio(square_links(side, 1), [0.592746], occupation="smoothed", realisations=2000)
        for side in (24, 96)
    )
    ratio = small.mass_ratio_all / large.mass_ratio_all
    error = np.hypot(*(r.all_error / r.mass_ratio_all for r in (small, large))) / math.log(4)
    assert abs(math.log(ratio[0]) / math.log(4) - 5 / 48) < 4 * error[0]


def test_mass_ratio_follows_seed():
    def curve(**how):
        links = lattice_links(9, 1, NEAREST)
        return mass_ratio(links, [0.3, 0.5], occupation="probability", **how).mass_ratio_kept

    np.testing.assert_array_equal(curve(seed=7), curve(seed=7))
    np.testing.assert_array_equal(curve(seed=7, workers=1), curve(seed=7, workers=4))
    assert not np.array_equal(curve(seed=7), curve(seed=8))


@pytest.mark.parametrize("fraction", [-0.5, 1.5, math.nan])
def test_mass_ratio_refuses_share_outside_unit_interval(fraction):
    with pytest.raises(ValueError, match=r"^lambda is"):
        mass_ratio(lattice_links(4, 1, NEAREST), [fraction])


def test_mass_ratio_needs_a_realisation():
    with pytest.raises(ValueError, match=r"^realisations is 0"):
        mass_ratio(lattice_links(4, 1, NEAREST), [0.5], realisations=0)
