"""Copying the nearest example, against a search through all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.nearest_example import copied, nearest_accuracy

PERIOD = 8.0


@pytest.mark.parametrize("period", [None, PERIOD])
@given(st.integers(1, 30), st.integers(0, 10_000))
def test_copied_agrees_with_a_search_through_all_examples(period, count, seed):
    rng = np.random.default_rng(seed)
    examples, labels = rng.uniform(0, PERIOD, (count, 2)), rng.uniform(0, PERIOD, (20, 2))
    offset = np.abs(labels[:, None] - examples)
    if period is not None:
        offset = np.minimum(offset, period - offset)
    nearest = (offset**2).sum(axis=-1).argmin(axis=1)
    expected = (offset[np.arange(20), nearest] < 1).all(axis=1)
    assert (copied(examples, labels, period=period) == expected).all()
    assert nearest_accuracy(examples, labels, period=period) == pytest.approx(expected.mean())


def test_examples_are_copied_exactly_and_a_pixel_away_is_wrong():
    labels = np.array([[3.0, 3.0], [3.0, 4.0], [3.0, 3.999]])
    assert copied(labels[:1], labels).tolist() == [True, False, True]


def test_nearest_example_may_lie_across_the_rim_of_a_periodic_image():
    labels = np.array([[0.2, 0.1]])
    examples = np.array([[7.9, 7.8], [2.0, 2.0]])
    assert copied(examples, labels, period=PERIOD).tolist() == [True]
    assert copied(examples, labels).tolist() == [False]
    assert copied(examples + PERIOD, labels, period=PERIOD).tolist() == [True]
