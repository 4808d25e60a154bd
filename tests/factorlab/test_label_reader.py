"""The label reader: published ceilings, hand-made images and symmetries."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from factorlab import families
from factorlab.config import DataSettings
from factorlab.data import lattice
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.label_reader import BLANK_CONTRAST, read, read_shape, read_stripes
from tests.helpers.rounding import EXACT


def clean(labels, data):
    """Return clean 8-bit images of labels, (B, N, N)."""
    return to_8_bit(to_model(render(torch.as_tensor(np.asarray(labels)), data))).numpy()


def read_clean(labels, data):
    return read(clean(labels, data), families.of(data.family).READ, periodic=data.periodic)


def white(size=8):
    return np.full((size, size), 255, dtype=np.uint8)


def around(distance, period):
    """Return distances on a circle."""
    distance = np.abs(distance) % period
    return np.minimum(distance, period - distance)


# --- ceilings on clean bumps -----------------------------------------------------------------


@pytest.mark.parametrize(("size", "percent"), [(8, 91), (32, 94)])
def test_read_has_published_ceiling_on_clean_bumps(size, percent):
    data = DataSettings(size=size, sigma=1.0, spacing=0.5)
    labels = lattice.frame_labels(data)
    error = np.abs(read_clean(labels, data).labels - labels).max(axis=1)
    right = error < 1
    assert round(100 * right.mean()) == percent
    from_rim = np.minimum(labels - 1, size - labels).min(axis=1)
    assert (from_rim[~right] < 1).all()
    assert error[from_rim >= 1].max() <= 0.5


@pytest.mark.parametrize("size", [8, 16, 32])
def test_read_stripes_off_the_rim_within_half_pixel(size):
    data = DataSettings(family="sos", size=size, sigma=1.0, spacing=0.5)
    labels = lattice.frame_labels(data)
    labels = labels[np.minimum(labels - 1, size - labels).min(axis=1) >= 1]
    readings = read_clean(labels, data)
    assert (readings.objects == 1).all()
    assert np.abs(readings.labels - labels).max() <= 0.5


@pytest.mark.parametrize("family", ["bump", "sos"])
@pytest.mark.parametrize("size", [8, 11])
def test_read_periodic_images_within_half_pixel(family, size):
    data = DataSettings(family=family, size=size, sigma=1.0, spacing=0.5, periodic=True)
    labels = lattice.frame_labels(data)
    readings = read_clean(labels, data)
    assert (readings.objects == 1).all()
    assert ((readings.labels >= 1) & (readings.labels < size + 1)).all()
    assert around(readings.labels - labels, size).max() <= 0.5


@given(st.floats(2, 15), st.floats(2, 15), st.floats(0.5, 1.2), st.sampled_from(["bump", "sos"]))
def test_read_label_between_pixels_within_a_pixel(x, y, sigma, family):
    data = DataSettings(family=family, size=16, sigma=sigma)
    readings = read_clean([[x, y]], data)
    assert readings.objects.tolist() == [1]
    assert np.abs(readings.labels[0] - (x, y)).max() < 1


# --- hand-made images -------------------------------------------------------------------------


@st.composite
def spans(draw, size=8):
    """Return the first and last pixel, counted from 1, of a strip narrower than the image."""
    first = draw(st.integers(1, size))
    last = draw(st.integers(first, min(size, first + size - 3)))
    return first, last


@given(spans(), spans(), st.integers(0, 204))
def test_read_shape_dark_rectangle_at_its_middle(across, down, grey):
    image = white()
    image[down[0] - 1 : down[1], across[0] - 1 : across[1]] = grey
    readings = read(image[None], read_shape)
    assert readings.labels.tolist() == [[sum(across) / 2, sum(down) / 2]]
    assert readings.objects.tolist() == [1]


def test_read_shape_one_dark_pixel():
    for x, y in [(1, 1), (8, 1), (3, 6), (8, 8)]:
        image = white()
        image[y - 1, x - 1] = 0
        readings = read(image[None], read_shape)
        assert readings.labels.tolist() == [[x, y]]
        assert readings.objects.tolist() == [1]


def test_read_shape_takes_middle_of_bounding_box():
    image = white()
    image[1, 1:7] = 0
    image[1:7, 1] = 0  # an L, whose centroid is nearer to its corner
    assert read(image[None], read_shape).labels.tolist() == [[4.5, 4.5]]


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 40), st.integers(0, 40))
def test_read_shape_two_shapes_at_common_centroid(w, h, one, other):
    image = white(12)
    image[1 : 1 + h, 1 : 1 + w] = one
    image[8:11, 7:11] = other
    readings = read(image[None], read_shape)
    dark_one, dark_other = (255 - one) * w * h, (255 - other) * 12
    total = dark_one + dark_other
    x = (dark_one * (2 + (w - 1) / 2) + dark_other * 9.5) / total
    y = (dark_one * (2 + (h - 1) / 2) + dark_other * 10) / total
    assert readings.objects.tolist() == [2]
    np.testing.assert_allclose(readings.labels, [[x, y]], rtol=0, atol=EXACT)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_read_shape_counts_more_than_one_as_several(count):
    image = white(16)
    for k in range(count):
        image[4, 1 + 3 * k] = 0
    assert read(image[None], read_shape).objects.tolist() == [2]


@pytest.mark.parametrize("reader", [read_shape, read_stripes])
@pytest.mark.parametrize("periodic", [False, True])
def test_read_white_image_has_no_label(reader, periodic):
    readings = read(white()[None], reader, periodic=periodic)
    assert readings.objects.tolist() == [0]
    assert np.isnan(readings.labels).all()


@given(
    hnp.arrays(np.uint8, (8, 8), elements=st.integers(0, BLANK_CONTRAST - 1)), st.integers(0, 204)
)
def test_read_shape_ignores_little_contrast(noise, offset):
    image = (noise + offset).astype(np.uint8)
    assert read(image[None], read_shape).objects.tolist() == [0]


@pytest.mark.parametrize(("contrast", "objects"), [(BLANK_CONTRAST - 1, 0), (BLANK_CONTRAST, 1)])
def test_read_shape_contrast_threshold(contrast, objects):
    image = white()
    image[2:4, 4:6] = 255 - contrast
    assert read(image[None], read_shape).objects.tolist() == [objects]


# --- sums of stripes --------------------------------------------------------------------------


def test_read_stripes_missing_stripe_reads_nothing():
    data = DataSettings(family="sos+stripes", size=8)
    readings = read_clean([[3.0, -2.0], [-2.0, 3.0], [-2.0, -2.0]], data)
    assert readings.objects.tolist() == [0, 0, 0]
    assert np.isnan(readings.labels).all()


@given(spans(), spans())
def test_read_stripes_crossing_strips_at_their_middles(across, down):
    image = white()
    image[:, across[0] - 1 : across[1]] = 127
    image[down[0] - 1 : down[1]] = 127
    image[down[0] - 1 : down[1], across[0] - 1 : across[1]] = 0
    readings = read(image[None], read_stripes)
    assert readings.labels.tolist() == [[sum(across) / 2, sum(down) / 2]]
    assert readings.objects.tolist() == [1]


def test_read_stripes_two_of_one_direction_are_several():
    image = white(12)
    image[5] = 127
    one = image.copy()
    one[:, 3] = 0
    two = one.copy()
    two[:, 9] = 0
    assert read(np.stack([one, two, two.T]), read_stripes).objects.tolist() == [1, 2, 2]


# --- symmetries -------------------------------------------------------------------------------

any_images = hnp.arrays(np.uint8, (9, 9))


@given(any_images, st.sampled_from([read_shape, read_stripes]))
def test_read_transposed_image_swaps_x_and_y(image, reader):
    straight = read(image[None], reader)
    swapped = read(np.ascontiguousarray(image.T)[None], reader)
    np.testing.assert_allclose(swapped.labels, straight.labels[:, ::-1], rtol=0, atol=EXACT)
    assert swapped.objects.tolist() == straight.objects.tolist()


@given(any_images, st.sampled_from([read_shape, read_stripes]))
def test_read_mirrored_image_mirrors_x(image, reader):
    straight = read(image[None], reader)
    mirrored = read(np.ascontiguousarray(image[:, ::-1])[None], reader)
    np.testing.assert_allclose(
        mirrored.labels[:, 0], 10 - straight.labels[:, 0], rtol=0, atol=EXACT
    )
    np.testing.assert_allclose(mirrored.labels[:, 1], straight.labels[:, 1], rtol=0, atol=EXACT)
    assert mirrored.objects.tolist() == straight.objects.tolist()


@given(any_images, st.sampled_from([read_shape, read_stripes]), st.booleans())
def test_read_labels_lie_in_frame(image, reader, periodic):
    labels = read(image[None], reader, periodic=periodic).labels
    if periodic:
        assert (np.isnan(labels) | ((labels >= 1) & (labels < 10))).all()
    else:
        assert (np.isnan(labels) | ((labels >= 1) & (labels <= 9))).all()


@given(
    st.floats(1, 9), st.floats(1, 9), st.integers(0, 7), st.integers(0, 7),
    st.sampled_from(["bump", "sos"]),
)  # fmt: skip
def test_read_rolled_periodic_image_moves_label(x, y, by_x, by_y, family):
    data = DataSettings(family=family, size=8, periodic=True)
    image, reader = clean([[x, y]], data), families.of(family).READ
    before = read(image, reader, periodic=True)
    after = read(np.roll(image, (by_y, by_x), axis=(1, 2)), reader, periodic=True)
    moved = around(after.labels - before.labels - (by_x, by_y), 8)
    np.testing.assert_allclose(moved, 0, atol=EXACT)
    assert after.objects.tolist() == before.objects.tolist() == [1]


def test_read_batch_equals_single_images():
    images = np.random.default_rng(0).integers(0, 256, size=(20, 7, 7)).astype(np.uint8)
    for reader in (read_shape, read_stripes):
        together = read(images, reader)
        for k, image in enumerate(images):
            alone = read(image[None], reader)
            np.testing.assert_array_equal(alone.labels[0], together.labels[k])
            assert alone.objects[0] == together.objects[k]
        assert read(images[:0], reader).labels.shape == (0, 2)
