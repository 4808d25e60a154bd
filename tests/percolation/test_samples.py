"""Predicted numbers of samples against known cases and continuum percolation."""

import math

import numpy as np
import pytest

from percolation import (
    Link,
    critical_count,
    growth,
    lattice_links,
    neighbours,
    predict_samples,
    radius,
)
from percolation.union_find import Workspace, generator_of
from tests.helpers.settings import NEAREST


def transition_width(side):
    """Return the relative width of the transition in a frame, L^(-1 / nu) with nu = 4/3.

    L is the side in units of the distance at which bumps of sigma 0.5 overlap by 0.5.
    """
    return (side / radius(0.5, 0.5)) ** -0.75


def test_critical_count_is_last_rise_through_level():
    """The ratio of five sites, of which three are linked, dips to 1/3 and rises to 3/5."""
    row = neighbours([(1, 1), (11, 1), (21, 1), (22, 1), (23, 1)], NEAREST)
    np.testing.assert_array_equal(growth(row, range(5)).largest, [1, 1, 1, 2, 3])
    counts = critical_count(row, level=0.6, realisations=30).counts
    for realisation, count in enumerate(counts):
        largest = Workspace(row).run(generator=generator_of(0, realisation)).largest
        ratio = largest / np.arange(1, 6)
        assert (ratio[count - 1 :] >= 0.6).all()
        assert count == 2 or ratio[count - 2] < 0.6


def test_critical_count_of_bumps_that_always_meet():
    links = lattice_links(3, 1, Link(sigma=5, threshold=0.05))
    result = critical_count(links, realisations=3)
    assert result.value == 2
    assert result.error == 0
    assert critical_count(lattice_links(3, 1, NEAREST), realisations=1).error is None


def test_critical_count_of_bumps_that_never_meet():
    alone = critical_count(lattice_links(5, 1, Link(sigma=0.01, threshold=0.5)))
    assert alone.value is None
    assert alone.error is None
    assert alone.sites == 25
    assert alone.counts.shape == (0,)


def test_predict_samples_grows_with_area():
    """Continuum percolation sets a density: twice the side takes four times the samples."""
    small, large = (
        predict_samples(size, 0.5, sigma=0.5, threshold=0.5, realisations=200) for size in (17, 33)
    )
    assert small.value is not None
    assert large.value is not None
    finite = math.log2((1 + transition_width(16)) / (1 + transition_width(32)))
    error = math.hypot(*(found.error / found.value for found in (small, large))) / math.log(2)
    assert math.log2(large.value / small.value) == pytest.approx(2, abs=finite + 4 * error)


def test_predict_samples_matches_continuum_percolation():
    """Discs percolate at 1.128 discs per area of one (Quintanilla and Ziff 2007).

    In a finite frame a mass ratio of 0.6 is crossed later, by at most the transition's width.
    """
    disc = math.pi * (2 * 0.5 * math.sqrt(math.log(2))) ** 2  # of half the reach of a link
    expected = 1.128 * 32**2 / disc
    result = predict_samples(33, 0.25, sigma=0.5, threshold=0.5, realisations=40)
    assert result.value is not None
    assert 1 < result.value / expected < 1 + transition_width(32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"level": 0}, "^level is 0"),
        ({"level": 1.2}, "^level"),
        ({"realisations": 0}, "^realisati"),
    ],
)
def test_critical_count_refuses_bad_arguments(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        critical_count(lattice_links(4, 1, NEAREST), **changes)


def test_critical_count_needs_two_sites():
    with pytest.raises(ValueError, match=r"^The lattice has 1 site"):
        critical_count(lattice_links(1, 1, NEAREST))
