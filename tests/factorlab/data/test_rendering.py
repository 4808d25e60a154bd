"""Images against the formulas of [W] section 2 and [F] Figs. 1, 2, 9 in double loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factorlab import families
from factorlab.config import DataSettings
from factorlab.data.rendering import render, to_8_bit, to_model
from tests.helpers.rounding import DOUBLE, EXACT, gamma

FAMILIES = ["bump", "sos", "bump+stripes", "sos+stripes", "stripes"]


def reference(mu_x, mu_y, sigma_x, sigma_y, size, *, bump, periodic=False):
    """Return the image of one label, (N, N)."""

    def gauss(p, mu, sigma):
        turns = range(-3, 4) if periodic else (0,)
        distance = min(abs(p - mu + k * size) for k in turns)
        return math.exp(-(distance**2) / (4 * sigma**2))

    x_inside = periodic or 1 <= mu_x <= size
    y_inside = periodic or 1 <= mu_y <= size
    image = np.empty((size, size))
    for row in range(size):
        for column in range(size):
            g_x = gauss(column + 1, mu_x, sigma_x)
            g_y = gauss(row + 1, mu_y, sigma_y)
            if not x_inside and not y_inside:
                dark = 0.0
            elif bump:
                dark = g_x * g_y if x_inside and y_inside else g_x if x_inside else g_y
            else:
                dark = ((g_x if x_inside else 0.0) + (g_y if y_inside else 0.0)) / 2
            image[row, column] = 1 - dark
    return image


VALUE = gamma(20, DOUBLE)
"""Bound of the error of a grey value.

Seven roundings of a move exp(-a) by at most 7 / e. Add its own, those of its product or sum with
another one and of the difference from one, and twice all of that, for both sides of a comparison.
"""


def moved_by(pixels, sigma):
    """Return a bound of the error of a grey value after its label was moved by whole turns.

    The slope of a profile is at most 0.43 / sigma.
    """
    return VALUE + 2 * 0.43 / sigma * gamma(4, DOUBLE) * pixels


def image_of(label, data):
    return render(torch.tensor([label], dtype=torch.float64), data)[0, 0].numpy()


sizes = st.integers(6, 11)
sigmas = st.floats(0.1, 6)
anywhere = st.floats(-8, 20)


@given(st.sampled_from(FAMILIES), sizes, st.tuples(sigmas, sigmas), anywhere, anywhere)
def test_render_matches_formula(family, size, sigma, x, y):
    data = DataSettings(family=family, size=size, sigma=sigma)
    expected = reference(x, y, *sigma, size, bump=family.startswith("bump"))
    np.testing.assert_allclose(image_of((x, y), data), expected, rtol=0, atol=VALUE)


@given(st.sampled_from(["bump", "sos"]), sizes, st.tuples(sigmas, sigmas), anywhere, anywhere)
def test_render_periodic_takes_shortest_way(family, size, sigma, x, y):
    data = DataSettings(family=family, size=size, sigma=sigma, spacing=1, periodic=True)
    expected = reference(x, y, *sigma, size, bump=family == "bump", periodic=True)
    bound = moved_by(3 * size + 20, min(sigma))
    np.testing.assert_allclose(image_of((x, y), data), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("family", FAMILIES)
def test_render_sigma_number_is_equal_pair(family):
    labels = torch.tensor([[2.3, 5.1], [9.5, 3.0]], dtype=torch.float64)
    number = render(labels, DataSettings(family=family, size=8, sigma=1.3))
    pair = render(labels, DataSettings(family=family, size=8, sigma=(1.3, 1.3)))
    assert torch.equal(number, pair)


def test_render_x_is_column_y_is_row():
    data = DataSettings(size=8, sigma=0.5)
    for x, y in [(1, 1), (3, 7), (8, 2)]:
        image = image_of((x, y), data)
        assert np.unravel_index(image.argmin(), image.shape) == (y - 1, x - 1)
        assert image.min() == 0


@pytest.mark.parametrize("sigma", [0.8, 1.0, 2.0])
def test_render_profile_has_standard_deviation(sigma):
    data = DataSettings(size=64, sigma=sigma)
    dark = 1 - render(torch.tensor([[32.3, 30.9]], dtype=torch.float64), data)[0, 0]
    g = torch.stack([dark.sum(0), dark.sum(1)])  # the other factor is constant
    p = torch.arange(1, 65, dtype=torch.float64)
    mean = (g * p).sum(1) / g.sum(1)
    variance = (g * (p - mean[:, None]) ** 2).sum(1) / g.sum(1)
    # A sum over pixels differs from the integral by the spectrum of the profile at one turn a pixel
    # (Poisson), times up to 1 + 4 pi^2 of the variance in the mean and in the variance.
    bound = EXACT + 2 * math.exp(-4 * math.pi**2 * sigma**2) * (1 + 8 * math.pi**2 * sigma**2)
    np.testing.assert_allclose(mean, [32.3, 30.9], rtol=0, atol=bound)
    np.testing.assert_allclose(variance, 2 * sigma**2, rtol=bound)


@pytest.mark.parametrize(
    ("family", "contrast"), [("bump+stripes", 1.0), ("sos+stripes", 0.5), ("stripes", 0.5)]
)
@pytest.mark.parametrize("outside", [-4.0, 0.999, 8.001, 12.0])
def test_render_one_coordinate_outside_is_a_stripe(family, contrast, outside):
    data = DataSettings(family=family, size=8)
    vertical, horizontal = image_of((3, outside), data), image_of((outside, 3), data)
    stripe = [1 - contrast * math.exp(-((p - 3) ** 2) / 4) for p in range(1, 9)]
    np.testing.assert_allclose(vertical, np.tile(stripe, (8, 1)), rtol=0, atol=VALUE)
    np.testing.assert_allclose(horizontal, np.tile(stripe, (8, 1)).T, rtol=0, atol=VALUE)


@given(
    st.sampled_from(FAMILIES),
    st.one_of(st.floats(-20, 0.999), st.floats(8.001, 30)),
    st.one_of(st.floats(-20, 0.999), st.floats(8.001, 30)),
)
def test_render_both_coordinates_outside_is_blank(family, x, y):
    assert (image_of((x, y), DataSettings(family=family, size=8, sigma=3.0)) == 1).all()


@pytest.mark.parametrize("edge", [1.0, 8.0])
@pytest.mark.parametrize("family", ["bump+stripes", "sos+stripes"])
def test_render_rim_of_frame_is_inside(family, edge):
    image = image_of((edge, 4), DataSettings(family=family, size=8))
    x, y = (np.exp(-((np.arange(1, 9) - mu) ** 2) / 4) for mu in (edge, 4))
    dark = y[:, None] * x if family.startswith("bump") else (y[:, None] + x) / 2
    np.testing.assert_allclose(image, 1 - dark, rtol=0, atol=VALUE)


@given(
    st.sampled_from(["bump", "sos"]), sizes, st.floats(1, 12), st.floats(1, 12),
    st.integers(-2, 2), st.integers(-2, 2),
)  # fmt: skip
def test_render_periodic_label_moved_by_size(family, size, x, y, turns_x, turns_y):
    data = DataSettings(family=family, size=size, spacing=1, periodic=True)
    moved = image_of((x + turns_x * size, y + turns_y * size), data)
    bound = moved_by(3 * size + 12, 1.0)
    np.testing.assert_allclose(moved, image_of((x, y), data), rtol=0, atol=bound)


@given(
    st.sampled_from(["bump", "sos"]), sizes, st.floats(1, 12), st.floats(1, 12),
    st.integers(-9, 9), st.integers(-9, 9),
)  # fmt: skip
def test_render_periodic_label_moved_by_pixels_rolls_image(family, size, x, y, by_x, by_y):
    data = DataSettings(family=family, size=size, spacing=1, periodic=True, sigma=(1.0, 1.7))
    rolled = np.roll(image_of((x, y), data), (by_y, by_x), axis=(0, 1))
    moved, bound = image_of((x + by_x, y + by_y), data), moved_by(2 * size + 21, 1.0)
    np.testing.assert_allclose(moved, rolled, rtol=0, atol=bound)


@given(
    st.sampled_from(FAMILIES),
    st.tuples(sigmas, sigmas),
    st.lists(st.tuples(anywhere, anywhere), min_size=1, max_size=8),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_render_values_and_dtype(family, sigma, labels, dtype):
    images = render(torch.tensor(labels, dtype=dtype), DataSettings(family=family, sigma=sigma))
    assert images.shape == (len(labels), 1, 32, 32)
    assert images.dtype == dtype
    assert 0 <= images.min() <= images.max() <= 1


def test_render_batch_equals_single_images():
    labels = torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) * 16 - 4
    data = DataSettings(family="bump+stripes", size=8)
    one_by_one = torch.cat([render(label[None], data) for label in labels])
    assert torch.equal(render(labels, data), one_by_one)


def test_families_with_and_without_stripes():
    assert set(families.families()) == set(families.titles()) >= set(FAMILIES)
    assert len(families.families()) == 3 * len(families.available()) + 1


def test_families_of_stripes_are_sums_of_stripes():
    found = {family: families.of(family).__name__.rpartition(".")[2] for family in FAMILIES}
    assert found == {
        "bump": "bump", "bump+stripes": "bump", "sos": "sos", "sos+stripes": "sos",
        "stripes": "sos",
    }  # fmt: skip


def test_to_model_range():
    assert torch.equal(to_model(torch.tensor([0, 0.25, 1])), torch.tensor([-1, -0.5, 1]))


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=30))
def test_to_8_bit_clips_and_truncates(values):
    grey = to_8_bit(torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1))
    expected = [int(min(max((np.float32(v) + 1) * np.float32(127.5), 0), 255)) for v in values]
    assert grey.dtype == torch.uint8
    assert grey.flatten().tolist() == expected
