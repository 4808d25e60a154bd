"""Failures by shapes with the area and depth of a clean one, on images with known shapes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factorlab.config import DataSettings
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.evaluation.failures import count_shapes, failures, shape_size

SIZE = 16


def images(labels, sigma=1.0, *, periodic=False):
    data = DataSettings(size=SIZE, sigma=sigma, periodic=periodic)
    return data, to_8_bit(to_model(render(torch.tensor(labels), data))).numpy()


def counts(data, pictures):
    return count_shapes(pictures, shape_size(data), periodic=data.periodic).tolist()


INSIDE = st.floats(2, SIZE - 1)


@given(
    st.lists(st.tuples(INSIDE, INSIDE), min_size=1, max_size=5), st.sampled_from([0.5, 1.0, 1.5])
)
def test_clean_bumps_are_one_shape(labels, sigma):
    assert counts(*images(labels, sigma)) == [1] * len(labels)


@given(st.lists(st.tuples(st.floats(1, SIZE), st.floats(1, SIZE)), min_size=1, max_size=5))
def test_clean_periodic_bumps_are_one_shape_wherever_they_are(labels):
    assert counts(*images(labels, periodic=True)) == [1] * len(labels)


@given(st.floats(3, 5), st.floats(3, 14), st.floats(11, 14))
def test_bumps_far_apart_are_several_shapes(x, y, other):
    data, (one, two) = images([(x, y), (other, y)])
    both = np.minimum(one, two)[None]
    assert counts(data, both) == [2]


def test_blank_images_and_speckle_are_none():
    data, _ = images([(8.0, 8.0)])
    blank = np.full((1, SIZE, SIZE), 255, dtype=np.uint8)
    assert counts(data, blank) == [0]
    speckle = blank.copy()
    speckle[0, ::3, ::3] = 0  # single black pixels
    assert counts(data, speckle) == [0]
    dark = np.full((1, SIZE, SIZE), 60, dtype=np.uint8)
    assert counts(data, dark) == [0]
    noise = np.random.default_rng(0).normal(60, 60, (5, SIZE, SIZE)).clip(0, 255).astype(np.uint8)
    assert counts(data, noise) == [0] * 5  # one large dark region
    faint = 255 - (255 - images([(8.0, 8.0)])[1]) // 4  # a bump of a quarter of the depth
    assert counts(data, faint) == [0]


def test_failures_and_accuracy_add_up_to_one():
    data, clean = images([(3.0, 3.0), (8.0, 8.0), (12.0, 12.0)])
    both = np.minimum(clean[0], clean[2])
    blank = np.full_like(both, 255)
    found = failures(
        np.stack([clean[0], clean[1], both, blank]), np.array([True, False, False, False]), data
    )
    assert found == {"failure_none": 0.25, "failure_misplaced": 0.25, "failure_several": 0.25}


@pytest.mark.parametrize("sigma", [0.1, 0.25])
def test_narrow_bumps_count_only_where_they_are_visible(sigma):
    data, (on, between) = images([(8.0, 8.0), (8.5, 8.5)], sigma)
    assert counts(data, np.stack([on, between])) == [1, 0]


def test_families_without_one_shape_at_the_label_have_no_such_metrics():
    data = DataSettings(size=SIZE, family="sos")
    assert shape_size(data) is None
    assert failures(np.zeros((2, SIZE, SIZE), np.uint8), np.array([True, False]), data) == {}
