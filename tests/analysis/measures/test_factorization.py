"""Angles between displacements: ideal tori, other grids and invariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from analysis.measures.factorization import (
    additive_share,
    angles,
    clifford_torus,
    linear_cka,
    score,
    solid_torus,
)
from tests.helpers.rounding import EXACT


def turned(grid, seed=0, scale=1.0, noise=0.0, dimensions=64):
    rng = np.random.default_rng(seed)
    wide = np.zeros((*grid.shape[:2], dimensions))
    wide[..., : grid.shape[2]] = grid
    wide = scale * wide @ ortho_group.rvs(dimensions, random_state=rng)
    return wide + rng.normal(0, scale * noise / np.sqrt(dimensions), wide.shape)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("sides", [(16, 16), (12, 20), (9, 8)])
def test_score_of_ideal_tori(sides, periodic):
    assert score(clifford_torus(*sides), periodic=periodic) == pytest.approx(1)
    for ratio in (0.2, 0.5, 0.9):
        assert score(solid_torus(*sides, ratio), periodic=periodic) == pytest.approx(0, abs=EXACT)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_score_of_noisy_ideal_tori(noise, seed):
    sides = (23, 22)  # 506 points
    # A noise of 0.1 turns displacements of 1.26 by 0.11: parallelism 1 / (1 + 0.11^2) = 0.988,
    # orthogonality 0.016 where the coupled torus has 0.405, a score of 0.95.
    assert score(turned(clifford_torus(*sides), seed, noise=noise), periodic=True) > 0.94
    # On the coupled torus of parallelism 1 / 2 it lowers the orthogonality by 3 %.
    assert score(turned(solid_torus(*sides), seed, noise=noise), periodic=True) < 0.02


def test_score_of_noise_is_zero():
    for seed in range(10):
        grid = np.random.default_rng(seed).normal(size=(16, 16, 64))
        # The mean cosine of 12 * 120 pairs of directions in 64 dimensions.
        assert score(grid) == pytest.approx(0, abs=4.5 / np.sqrt(64 * 12 * 120))


def polar(radius, angle):
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def other_grids():
    """Representations on a grid of labels, and their scores."""
    x, y = np.meshgrid(np.linspace(-1, 1, 23), np.linspace(-1, 1, 22), indexing="ij")
    around, down = np.pi * x, np.pi * (y + 1.1) / 2.2
    return {
        "circle of one label": (polar(1, around), 0),
        "sphere": (np.dstack([polar(np.sin(down), around), np.cos(down)]), 0),
        "disc by radius and angle": (polar(y + 1.2, around), 0),
        "two sheets": (np.stack([x + 4 * (x > 0), y], axis=-1), 1),
    }


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", other_grids())
def test_score_of_bent_or_missing_labels(name, seed):
    grid, expected = other_grids()[name]
    found = score(turned(grid, seed, noise=(0.1, 0.05)[seed % 2]))
    assert found == pytest.approx(expected, abs=0.25)  # a quarter of the ideals' difference


def test_score_of_flat_sheet_is_one():
    x, y = np.meshgrid(np.arange(10.0), np.arange(12.0), indexing="ij")
    sheet = np.stack([x, y], axis=-1)
    assert score(sheet) == pytest.approx(1)
    for values in angles(sheet).alignment.values():
        np.testing.assert_allclose(values, 1)
    # Axes at an angle a have an x-on-y orthogonality of cos(a) everywhere.
    slanted = angles(np.stack([x + y * np.cos(1.0), y * np.sin(1.0)], axis=-1))
    np.testing.assert_allclose(slanted.orthogonality["x-on-y"], np.cos(1.0))


def test_angles_closed_form():
    n = 16
    clifford = angles(clifford_torus(n, n), periodic=True)
    np.testing.assert_allclose(clifford.orthogonality["x-on-y"], 0, atol=EXACT)
    for name in ("x-on-y", "y-on-x", "x-on-x", "y-on-y"):
        np.testing.assert_allclose(clifford.parallelism[name], 1)
    # Directions along a circle turn by 2 pi / n: |cos| of all pairs of them.
    turns = 2 * np.pi * np.arange(1, n) / n
    mean = np.abs(np.cos(turns)).mean()
    for name in ("x-on-x", "y-on-y"):
        assert clifford.orthogonality[name].mean() == pytest.approx(mean)
        # All turns from 0 to n - 1 add up to 0, and the turn of 0 is left out.
        assert clifford.alignment[name].mean() == pytest.approx(-1 / (n - 1))
    ring = angles(solid_torus(64, 64), periodic=True)
    # A step in x has the same direction at every y. A step in y turns with x.
    np.testing.assert_allclose(ring.parallelism["x-on-y"], 1)
    # Half of it turns; the mean cosine of two different places of 64 is -1 / 63.
    assert ring.parallelism["y-on-x"].mean() == pytest.approx((1 - 1 / 63) / 2)
    # |sin x sin y| half-way between the places, (2 / pi)^2 in the limit of many.
    mean = 2 / (64 * np.sin(np.pi / 64))
    assert ring.orthogonality["x-on-y"].mean() == pytest.approx(mean**2)


@given(
    nx=st.integers(3, 7),
    ny=st.integers(3, 7),
    seed=st.integers(0, 10**6),
    scale=st.floats(1e-3, 1e3),
)
def test_angles_invariant_under_turning_and_scaling(nx, ny, seed, scale):
    grid = np.random.default_rng(seed).normal(size=(nx, ny, 5))
    moved = turned(grid, seed, scale, dimensions=8) + 2.0
    one, other = angles(grid), angles(moved)
    for name, values in one.orthogonality.items():
        np.testing.assert_allclose(other.orthogonality[name], values, rtol=0, atol=EXACT)
    for name, values in one.parallelism.items():
        np.testing.assert_allclose(other.parallelism[name], values, rtol=0, atol=EXACT)
    for name, values in one.alignment.items():
        np.testing.assert_allclose(other.alignment[name], values, rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (np.ones((4, 4)), "expected "),
        (np.random.default_rng(0).normal(size=(2, 9, 3)), "2 x 9 labels"),
        (np.ones((4, 4, 2)), "are the same"),
        (np.full((4, 4, 2), np.nan), "not finite"),
    ],
)
def test_score_refuses_grid_without_angles(grid, message):
    with pytest.raises(ValueError, match=message):
        score(grid)


def test_angles_refuses_equal_neighbours():
    grid = np.random.default_rng(0).normal(size=(5, 5, 3))
    grid[2, 2] = grid[3, 2]
    with pytest.raises(ValueError, match="the same representation"):
        angles(grid)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.9])
def test_additive_share_of_ideal_tori(ratio):
    assert additive_share(clifford_torus(12, 20)) == pytest.approx(1)
    expected = (1 + ratio**2 / 2) / (1 + ratio**2)
    assert additive_share(solid_torus(12, 20, ratio)) == pytest.approx(expected)


def test_additive_share_of_places_and_of_noise():
    """One feature for each place: of nx ny - 1 dimensions, nx + ny - 2 are additive."""
    nx, ny = 7, 9
    expected = (nx + ny - 2) / (nx * ny - 1)
    assert additive_share(np.eye(nx * ny).reshape(nx, ny, -1)) == pytest.approx(expected)
    noise = np.random.default_rng(0).normal(size=(nx, ny, 4000))
    # Four standard errors of a share of 62 dimensions, each with 4000 squared normal numbers.
    assert additive_share(noise) == pytest.approx(expected, abs=4 * np.sqrt(2 / (62 * 4000)))


def centred_kernel_alignment(one, other):
    """By the kernel matrices and the centring matrix (Kornblith et al. 2019, eq. 3)."""
    n = len(one)
    centring = np.eye(n) - 1 / n
    k, m = (centring @ x @ x.T @ centring for x in (one, other))
    return np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))


@given(
    seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), p=st.integers(1, 6), q=st.integers(1, 6)
)
def test_linear_cka_by_definition_and_invariances(seed, scale, p, q):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(12, p)), rng.normal(size=(12, q))
    found = linear_cka(one, other)
    assert found == pytest.approx(centred_kernel_alignment(one, other), abs=EXACT)
    assert found == pytest.approx(linear_cka(other, one), abs=EXACT)
    moved = turned(one.reshape(3, 4, p), seed, scale).reshape(12, -1) + 2
    assert linear_cka(moved, other) == pytest.approx(found, abs=1e3 * EXACT)  # 2 against 1e-3
    assert linear_cka(one, one) == pytest.approx(1)


def test_linear_cka_closed_form():
    """Two of four uncorrelated features of equal variance: 2 / (sqrt(4) sqrt(2))."""
    torus = clifford_torus(16, 16).reshape(-1, 4)
    assert linear_cka(torus, torus[:, :2]) == pytest.approx(1 / np.sqrt(2))
    assert linear_cka(torus[:, 2:], torus[:, :2]) == pytest.approx(0, abs=EXACT)


def test_shares_refuse_representations_without_variance():
    with pytest.raises(ValueError, match="All 16 representations are the same"):
        additive_share(np.ones((4, 4, 2)))
    with pytest.raises(ValueError, match="All 4 representations are the same"):
        linear_cka(np.ones((4, 2)), np.eye(4))
