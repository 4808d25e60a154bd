"""Predicted numbers of samples: known cases and continuum percolation."""

import math

import numpy as np
import pytest

from percolation import (
    Link,
    continuum,
    critical_count,
    growth,
    lattice_links,
    neighbours,
    predict_samples,
)
from percolation.union_find import Workspace, generator_of

# Nearest neighbours of a lattice of increment 1.
NEAREST = Link(sigma=1, threshold=float(continuum(1.2, 1)))


def test_critical_count_is_last_rise_through_level():
    """In a row of far, far, near, ... the ratio dips to 1/3 and returns to 3/5 at five sites."""
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
    # The rim adds up to a third at N = 33 (the next test), and 2^(1 / nu) times as much at N = 17.
    rim = math.log2((1 + 2**0.75 / 3) / (1 + 1 / 3))
    error = math.hypot(*(found.error / found.value for found in (small, large))) / math.log(2)
    assert math.log2(large.value / small.value) == pytest.approx(2, abs=rim + 4 * error)


def test_predict_samples_matches_continuum_percolation():
    """Discs percolate at 1.128 discs of their own area (Quintanilla and Ziff 2007); there, in a
    finite frame and at a mass ratio of 0.6, the crossing lies within a third of that density."""
    disc = math.pi * (2 * 0.5 * math.sqrt(math.log(2))) ** 2  # discs of half the link's reach
    expected = 1.128 * 32**2 / disc
    result = predict_samples(33, 0.25, sigma=0.5, threshold=0.5, realisations=40)
    assert result.value is not None
    assert 1 < result.value / expected < 1.33


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
