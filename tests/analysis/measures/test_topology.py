"""Holes of known spaces in many dimensions, turned at random and noisy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from analysis.measures.topology import betti, distance, farthest_points, persistence
from tests.analysis.measures.in_one_call import betti_numbers
from tests.helpers.rounding import SINGLE, gamma
from tests.helpers.spaces import circle, clifford_torus, disc, embed, solid_torus

SAMPLES = 512


def test_persistence_circle_dies_in_closed_form():
    angle = 2 * np.pi * np.arange(60) / 60
    found = persistence(np.stack([np.cos(angle), np.sin(angle)], axis=1), limit=1)
    (loop,) = found.diagrams[1]
    # It is born at the side of the polygon and dies at that of the inscribed triangle (Adamaszek
    # and Adams 2017). Ripser computes in float32.
    assert loop == pytest.approx([2 * np.sin(np.pi / 60), np.sqrt(3)], rel=gamma(2))
    assert found.scale == pytest.approx(2)
    assert found.spacing == 0


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
def test_betti_invariant_under_turning_and_scaling(seed, scale):
    points = circle(60, seed)
    turned = scale * embed(points, dimensions=7, seed=seed) + 1
    one, other = persistence(points, max_dim=1, seed=3), persistence(turned, max_dim=1, seed=3)
    assert [b.number for b in betti(one)] == [b.number for b in betti(other)]
    for a, b in zip(one.diagrams, other.diagrams, strict=True):
        # Distances up to 2, which ripser rounds to float32.
        rounded = {"rtol": 0, "atol": 4 * SINGLE * scale}
        np.testing.assert_allclose(np.sort(a * scale, 0), np.sort(b, 0), **rounded)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 30))
def test_farthest_points_cover_and_stay_apart(seed, count):
    points = np.random.default_rng(seed).normal(size=(25, 3))
    chosen = farthest_points(points, count, seed)
    assert len(set(chosen)) == len(chosen) == min(count, 25)
    apart = cdist(points[chosen], points[chosen])
    reach = cdist(points[chosen], points).min(axis=0).max()
    # No chosen pair is nearer than the point farthest from all chosen ones.
    assert (apart[~np.eye(len(chosen), dtype=bool)] >= reach).all()


def test_betti_of_random_cloud_is_one_piece():
    for seed in range(5):
        cloud = np.random.default_rng(seed).normal(size=(SAMPLES, 60))
        assert betti_numbers(cloud, seed=seed) == (1, 0, 0)


def test_distance_smallest_to_same_space():
    model = persistence(embed(clifford_torus(SAMPLES, 1), noise=0.1, seed=1))
    ideals = [persistence(space(SAMPLES, 2)) for space in (clifford_torus, solid_torus, disc)]
    assert np.argmin([distance(model, ideal, 1) for ideal in ideals]) == 0
    assert distance(model, model, 1) == 0
    with pytest.raises(ValueError, match="dimension 3"):
        distance(model, model, 3)


def test_persistence_limits_dimensions():
    points = circle(100, 0)
    assert betti_numbers(points, max_dim=1) == (1, 1)
    assert betti_numbers(points, max_dim=0) == (1,)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.ones((9, 3)), "are the same"),
        (np.full((9, 3), np.nan), "not finite"),
        (np.ones((1, 3)), "at least 2"),
    ],
)
def test_persistence_refuses_what_has_no_shape(points, message):
    with pytest.raises(ValueError, match=message):
        betti_numbers(points)
