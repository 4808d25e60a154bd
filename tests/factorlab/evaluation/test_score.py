"""Accuracy and failure modes of label predictions against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab.evaluation.evaluator import score, within_a_pixel
from factorlab.label_reader import LabelPredictions

coordinate = st.floats(1, 9) | st.just(math.nan)


@st.composite
def readings_and_labels(draw):
    count = draw(st.integers(1, 12))
    labels = draw(st.lists(st.tuples(coordinate, coordinate), min_size=count, max_size=count))
    objects = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    truth = st.floats(1, 9)
    true = draw(st.lists(st.tuples(truth, truth), min_size=count, max_size=count))
    return LabelPredictions(np.array(labels), np.array(objects)), np.array(true)


@given(readings_and_labels(), st.sampled_from([None, 8, 9]))
def test_score_matches_definitions(drawn, period):
    readings, labels = drawn
    right_x = right_y = right = half = 0
    halves = [0, 0]
    distances = []
    failures = [0, 0, 0]
    for (x, y), objects, (true_x, true_y) in zip(
        readings.labels, readings.objects, labels, strict=True
    ):
        turns = (0,) if period is None else (-period, 0, period)
        ok_x = any(abs(x - true_x + k) < 1 for k in turns)
        ok_y = any(abs(y - true_y + k) < 1 for k in turns)
        right_x, right_y, right = right_x + ok_x, right_y + ok_y, right + (ok_x and ok_y)
        near = [
            any(abs(one - true + k) <= 0.5 for k in turns)
            for one, true in ((x, true_x), (y, true_y))
        ]
        half += all(near)
        halves = [count + one for count, one in zip(halves, near, strict=True)]
        failures[objects] += not (ok_x and ok_y)
        if not math.isnan(x + y):
            distances.append(
                min(math.hypot(x - true_x + k, y - true_y + m) for k in turns for m in turns)
            )
    n = len(labels)
    metrics = score(readings, labels, period)
    assert metrics == pytest.approx(
        {
            "accuracy": right / n,
            "accuracy_x": right_x / n,
            "accuracy_y": right_y / n,
            "share_none": failures[0] / n,
            "share_misplaced": failures[1] / n,
            "share_several": failures[2] / n,
            "accuracy_half_pixel": half / n,
            "accuracy_half_pixel_x": halves[0] / n,
            "accuracy_half_pixel_y": halves[1] / n,
            **({"error_pixels": sum(distances) / len(distances)} if distances else {}),
        }
    )


@given(readings_and_labels(), st.sampled_from([None, 8, 9]))
def test_score_accuracy_and_failures_add_to_one(drawn, period):
    metrics = score(*drawn, period)
    shares = [value for name, value in metrics.items() if name.startswith("share_")]
    assert len(shares) == 3
    assert metrics["accuracy"] + sum(shares) == pytest.approx(1)
    assert metrics["accuracy"] <= min(metrics["accuracy_x"], metrics["accuracy_y"])
    assert metrics["accuracy_half_pixel"] <= metrics["accuracy"]


def test_within_a_pixel_unread_coordinate_is_wrong():
    readings = LabelPredictions(np.array([[math.nan, 3.0], [math.nan, math.nan]]), np.array([0, 0]))
    right = within_a_pixel(readings, np.full((2, 2), 3.0), None)
    assert right.tolist() == [[False, True], [False, False]]


def test_within_a_pixel_exactly_one_pixel_is_wrong():
    readings = LabelPredictions(np.array([[4.0, 3.75]]), np.array([1]))
    assert within_a_pixel(readings, np.array([[3.0, 3.0]]), None).tolist() == [[False, True]]


def test_within_a_pixel_around_torus():
    readings = LabelPredictions(np.array([[8.75, 1.25]]), np.array([1]))
    labels = np.array([[1.0, 8.5]])
    assert within_a_pixel(readings, labels, 8).tolist() == [[True, True]]
    assert within_a_pixel(readings, labels, None).tolist() == [[False, False]]
