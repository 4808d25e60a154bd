"""Overlap against images and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from percolation import continuum, pixel, radius
from tests.helpers.rounding import EXACT

sizes = st.integers(2, 20)
sigmas = st.floats(0.15, 5)
UNDERFLOW = 1e-150
"""Overlap below which the product of two images underflows; its root is about 1e-154."""


@st.composite
def frames(draw):
    """A frame's side, a spread and two centres inside the frame."""
    size = draw(sizes)
    coordinate = st.floats(1, size)
    a, b = (np.array([draw(coordinate), draw(coordinate)]) for _ in range(2))
    return size, draw(sigmas), a, b


def image(centre, size, sigma, *, periodic=False):
    """The inverted bump, shape (N, N)."""
    y, x = np.abs(np.mgrid[1 : size + 1, 1 : size + 1] - np.array(centre[::-1])[:, None, None])
    if periodic:
        x, y = np.minimum(x, np.abs(size - x)), np.minimum(y, np.abs(size - y))
    return np.exp(-(x**2) / (4 * sigma**2) - y**2 / (4 * sigma**2))


def overlap_of_images(a, b):
    """The overlap by its definition: a norm divided by the geometric mean of two norms."""
    norms = math.sqrt(np.linalg.norm(a) * np.linalg.norm(b))
    return np.linalg.norm(np.sqrt(a * b)) / norms


@given(frames())
def test_pixel_matches_images(case):
    size, sigma, a, b = case
    expected = overlap_of_images(image(a, size, sigma), image(b, size, sigma))
    assert pixel(a, b, size, sigma) == pytest.approx(expected, rel=EXACT, abs=UNDERFLOW)


@given(frames())
def test_pixel_periodic_matches_images(case):
    size, sigma, a, b = case
    images = [image(c, size, sigma, periodic=True) for c in (a, b)]
    found = pixel(a, b, size, sigma, periodic=True)
    assert found == pytest.approx(overlap_of_images(*images), rel=EXACT, abs=UNDERFLOW)
    moved = pixel(np.add(a, (0, size)), np.subtract(b, (size, 0)), size, sigma, periodic=True)
    assert moved == pytest.approx(found, rel=EXACT, abs=UNDERFLOW)


@given(frames())
def test_pixel_symmetric_and_at_most_one(case):
    size, sigma, a, b = case
    forth, back = pixel(a, b, size, sigma), pixel(b, a, size, sigma)
    assert forth == pytest.approx(back, rel=EXACT, abs=0)
    assert 0 <= forth <= 1
    assert pixel(a, a, size, sigma) == pytest.approx(1, abs=EXACT)


def test_pixel_takes_many_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 12, (2, 5, 7, 2))
    together = pixel(a, b, 12, 0.7)
    assert together.shape == (5, 7)
    one_by_one = [[pixel(a[i, j], b[i, j], 12, 0.7) for j in range(7)] for i in range(5)]
    np.testing.assert_allclose(together, one_by_one, rtol=EXACT)
    np.testing.assert_allclose(pixel(a[0, 0], b, 12, 0.7)[0, 0], together[0, 0], rtol=EXACT)


@given(st.floats(1, 2.5), st.floats(0, 8), st.floats(0, 2 * math.pi))
def test_pixel_of_wide_bumps_matches_continuum(sigma, distance, angle):
    a = np.array([40.3, 40.7])  # eight spreads and more from the rim of an 80 x 80 frame
    b = a + distance * np.array([math.cos(angle), math.sin(angle)])
    # A sum over pixels differs from the integral by the spectrum at one turn a pixel (Poisson): of
    # the product of both images and of each square, along x and along y.
    bound = EXACT + 8 * math.exp(-2 * math.pi**2 * sigma**2)
    assert pixel(a, b, 80, sigma) == pytest.approx(continuum(distance, sigma), abs=bound)


def test_pixel_of_narrow_bumps_differs_from_continuum():
    # Each bump covers the two pixels beside its centre, and they share one: <a, b> = 1 of 2.
    assert pixel((2.5, 3), (3.5, 3), 6, 0.05) == pytest.approx(math.sqrt(0.5))
    assert continuum(1, 0.05) == pytest.approx(math.exp(-25))


def test_pixel_does_not_underflow():
    # exp(-0.25 / (2 * 0.01^2)) is below the smallest float, yet both images are equal.
    assert pixel((2.5, 2.5), (2.5, 2.5), 4, 0.01) == pytest.approx(1)


@pytest.mark.parametrize("sigma", [0.3, 1, 2.5])
def test_continuum_is_integral_of_definition(sigma):
    # A frame of 400 pixels over 20 spreads stands for the integral.
    scale = 400 / 20
    a, b = np.array([200.0, 200.0]), np.array([200.0 + 1.7 * scale, 200.0 - 0.6 * scale])
    integral = overlap_of_images(image(a, 400, scale), image(b, 400, scale))
    distance = math.hypot(1.7, 0.6) * sigma
    assert continuum(distance, sigma) == pytest.approx(integral, rel=EXACT)


@given(sigmas, st.floats(1e-3, 0.999))
def test_radius_inverts_continuum(sigma, threshold):
    assert continuum(radius(sigma, threshold), sigma) == pytest.approx(threshold)


def test_radius_known_case():
    assert radius(1, math.exp(-1)) == pytest.approx(4)


@pytest.mark.parametrize("sigma", [0, -1, math.nan, math.inf])
def test_overlap_refuses_bad_sigma(sigma):
    for call in (
        lambda: continuum(1, sigma),
        lambda: radius(sigma, 0.5),
        lambda: pixel((1, 1), (2, 2), 4, sigma),
    ):
        with pytest.raises(ValueError, match=r"^sigma is .*positive number of pixels, "):
            call()


@pytest.mark.parametrize("threshold", [0, 1, -0.1, 2, math.nan])
def test_radius_refuses_threshold_outside_unit_interval(threshold):
    with pytest.raises(ValueError, match=r"^threshold is .*strictly between 0 and 1"):
        radius(1, threshold)


def test_pixel_refuses_bad_frame_or_centre():
    with pytest.raises(ValueError, match=r"^size is 0"):
        pixel((1, 1), (2, 2), 0, 1)
    with pytest.raises(ValueError, match=r"^a_center has shape \(3,\)"):
        pixel((1, 1, 1), (2, 2), 4, 1)
    with pytest.raises(ValueError, match=r"^b_center"):
        pixel((1, 1), (2, math.nan), 4, 1)
