"""Critical points against published ones, and their error against the spread of estimates."""

import numpy as np
import pytest

from percolation import critical_fraction, critical_point, radius


@pytest.mark.parametrize(
    ("radius2", "neighbours", "known"),
    [
        (1, 4, 0.592746),  # Newman and Ziff 2001
        (2, 8, 1 - 0.592746),  # its matching lattice
        (10, 36, 0.11535),  # Cieplucha et al. 2025, all of the first seven zones
    ],
)
def test_critical_point_matches_published(radius2, neighbours, known):
    found = critical_point(radius2, realisations=3000)
    assert found.neighbours == neighbours
    assert found.realisations == 3000
    # 2/3 of L^(-3/4) / sqrt(3000) at L = 96: a realisation scatters by less than L^(-1 / nu).
    assert found.error < 4e-4
    assert abs(found.value - known) < 3 * found.error


def test_critical_point_far_links_approach_continuum():
    """Lambda_c times the number of neighbours tends to 4.51235 (Xun, Hao and Ziff 2021)."""
    found = critical_point(700, realisations=200)
    per_site = found.neighbours * found.value
    assert abs(per_site - 4.51235) < 3 * found.neighbours * found.error


def test_critical_point_error_matches_spread():
    runs = [critical_point(1, side=32, realisations=60, seed=seed) for seed in range(60)]
    spread = np.std([run.value for run in runs], ddof=1)
    bound = 3 / np.sqrt(2 * 59)  # three relative errors of a standard deviation of 60 values
    assert np.mean([run.error for run in runs]) == pytest.approx(spread, rel=bound)


def test_critical_point_independent_of_side():
    small, large = (critical_point(2, side=side, realisations=1500) for side in (32, 96))
    assert abs(small.value - large.value) < 4 * np.hypot(small.error, large.error)


def test_critical_point_decided_by_realisations_and_seed():
    timed = critical_point(1, side=16, seconds=0.001, seed=4)
    assert timed == critical_point(1, side=16, realisations=timed.realisations, seed=4, workers=1)
    assert timed != critical_point(1, side=16, realisations=timed.realisations, seed=5)


def test_critical_fraction_matches_stencil():
    found = critical_fraction(1.0, 0.05, 2.0, realisations=300)
    assert found is not None
    assert found == critical_point((radius(1, 0.05) / 2) ** 2, realisations=300)


def test_critical_fraction_at_threshold_is_none():
    threshold = float(np.exp(-1 / 16))  # the overlap at a distance of one sigma
    assert critical_fraction(1.0, threshold, 1.0) is None
    assert critical_fraction(1.0, threshold, 0.999, realisations=5) is not None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"radius2": 0.5}, "^radius2 is 0.5"),
        ({"radius2": float("inf")}, "^radius2 is inf"),
        ({"radius2": 9, "side": 6}, "^side is 6"),
        ({"radius2": 1, "realisations": 1}, "^realisations is 1"),
        ({"radius2": 1, "seconds": 0}, "^seconds is 0"),
    ],
)
def test_critical_point_refuses_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        critical_point(**arguments)


def test_critical_fraction_needs_spacing():
    with pytest.raises(ValueError, match=r"^spacing is 0"):
        critical_fraction(1.0, 0.5, 0.0)
