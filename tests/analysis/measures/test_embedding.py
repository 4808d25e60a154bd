"""Labels read off embeddings: what a line explains, and what UMAP leaves of a sheet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from analysis.measures.embedding import cross_validated, embed, fitted
from tests.helpers.measures import r_squared
from tests.helpers.rounding import EXACT
from tests.helpers.spaces import embed as embed_at_random


def sheet(side=20):
    """A flat sheet of labels and the labels."""
    axis = np.arange(1.0, side + 1)
    labels = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return labels / side, labels


@given(seed=st.integers(0, 10**6), samples=st.integers(6, 40), dimensions=st.integers(1, 4))
def test_fitted_matches_scikit_learn(seed, samples, dimensions):
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(samples, dimensions)), rng.normal(size=(samples, 2))
    found = fitted(points, labels)
    for value, column in zip(found, labels.T, strict=True):
        assert value == pytest.approx(LinearRegression().fit(points, column).score(points, column))
    turned = 7 * points @ np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0] + 3
    assert fitted(turned, labels) == pytest.approx(found)


def test_cross_validated_explains_linear_labels_not_noise():
    points, labels = sheet()
    high = embed_at_random(points, seed=1)
    assert cross_validated(high, labels, components=2) == pytest.approx((1, 1))
    noise = np.random.default_rng(0).normal(size=high.shape)
    x, y = cross_validated(noise, labels)
    assert x < 0.05
    assert y < 0.05


def test_embed_orders_a_sheet_not_noise():
    points, labels = sheet()
    points = embed_at_random(points, noise=0.02)
    found = r_squared(points, labels)
    assert min(found) > 0.8
    assert found == r_squared(points, labels)  # a seed decides all bits
    noise = np.random.default_rng(0).normal(size=(len(points), 30))
    assert max(r_squared(noise, labels)) < 0.2


def test_fitted_reads_circular_label_off_cosine_and_sine():
    angle = 2 * np.pi * np.arange(60) / 60
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.stack([1 + 60 * angle / (2 * np.pi), np.arange(60) % 7], axis=1)
    assert fitted(circle, labels, 60).x == pytest.approx(1)
    # A line through a turn explains 6 / pi^2 of it for ever more labels (here 60), and the sine
    # alone explains half.
    explained = 6 / (60**2 - 1) / np.sin(np.pi / 60) ** 2
    assert fitted(circle, labels).x == pytest.approx(explained)
    assert fitted(circle[:, 1:], labels, 60).x == pytest.approx(0.5)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
def test_r_squared_invariant_under_turning_and_scaling(seed, scale):
    points, labels = sheet(10)
    points = embed_at_random(points, noise=0.05, dimensions=8, seed=seed)
    turned = scale * embed_at_random(points, dimensions=9, seed=seed + 1) + 2
    for measure in (r_squared, cross_validated):
        # UMAP is given what differs by less than float32 shows.
        assert measure(turned, labels) == pytest.approx(measure(points, labels), rel=EXACT)


def test_embed_has_requested_dimensions():
    assert embed(sheet(8)[0], 2, seed=3).shape == (64, 2)


@pytest.mark.parametrize("measure", [fitted, r_squared, cross_validated])
@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (np.eye(8), np.ones((7, 2)), r"labels have the shape \(7, 2\)"),
        (np.eye(8), np.full((8, 2), np.nan), "labels hold a number that is not finite"),
        (np.eye(8), np.ones((8, 2)), "same coordinate"),
        (np.eye(1), np.ones((1, 2)), "There are 1 representations"),
    ],
)
def test_r_squared_refuses_what_cannot_be_explained(measure, points, labels, message):
    with pytest.raises(ValueError, match=message):
        measure(points, labels)
