"""Null models against searches through all examples, and by part of the labels."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures import null_models
from analysis.measures.null_models import null_accuracies
from analysis.measures.null_models.composed import composed
from analysis.measures.null_models.nearest import copied
from factorlab.data.dataset import build, evaluation_labels
from factorlab.parsing import parse

PERIOD = 8.0


def apart(one, other, period):
    offset = abs(one - other)
    return offset if period is None else min(offset % period, -offset % period)


@pytest.mark.parametrize("period", [None, PERIOD])
@given(st.integers(1, 30), st.integers(0, 10_000))
def test_copied_agrees_with_a_search_through_all_examples(period, count, seed):
    rng = np.random.default_rng(seed)
    examples, labels = rng.uniform(0, PERIOD, (count, 2)), rng.uniform(0, PERIOD, (20, 2))
    offset = np.abs(labels[:, None] - examples)
    if period is not None:
        offset = np.minimum(offset, period - offset)
    nearest = (offset**2).sum(axis=-1).argmin(axis=1)
    expected = offset[np.arange(20), nearest]
    assert copied(examples, labels, period=period) == pytest.approx(expected, abs=1e-9)


def test_errors_do_not_depend_on_how_increments_add_up():
    examples = np.array([[1 + 3 * 0.1, 1.0]])  # 1.3 and 2.3 differ by less than 1 in float64
    one = copied(examples, np.array([[1 + 13 * 0.1, 1.0]]))
    both = composed(examples[:, 0], examples[:, 1], np.array([[2.3, 1.0]]))
    assert np.round([one, both], 9).tolist() == [[[1.0, 0.0]], [[1.0, 0.0]]]


def test_label_a_pixel_away_is_half_right_however_increments_add_up(monkeypatch):
    just_below = SimpleNamespace(errors=lambda _data, labels: np.full(labels.shape, 1 - 1e-15))
    monkeypatch.setattr(null_models, "available", lambda: ["apart"])
    monkeypatch.setattr(null_models, "load", lambda _name: just_below)
    found = null_accuracies(parse({"data": {"size": 7}, "seed": 12}))
    assert (found["null_apart_x"], found["null_apart"]) == (0.5, 0.25)


def test_without_examples_errors_are_infinite():
    labels = np.array([[3.0, 3.0]])
    assert copied(labels[:0], labels).tolist() == [[np.inf, np.inf]]
    assert composed(labels[:0, 0], labels[:, 1], labels).tolist() == [[np.inf, 0.0]]


def test_nearest_example_may_lie_across_the_rim_of_a_periodic_image():
    labels = np.array([[0.2, 0.1]])
    examples = np.array([[7.9, 7.8], [2.0, 2.0]])
    around = copied(examples, labels, period=PERIOD)
    assert around.tolist() == [pytest.approx([0.3, 0.3])]
    beyond = copied(examples + PERIOD, labels, period=PERIOD)
    assert np.round(beyond, 9).tolist() == np.round(around, 9).tolist()
    assert copied(examples, labels).tolist() == [pytest.approx([1.8, 1.9])]


@pytest.mark.parametrize("period", [None, PERIOD])
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 10_000))
def test_composed_agrees_with_a_search_through_all_values(period, xs, ys, seed):
    rng = np.random.default_rng(seed)
    seen_x, seen_y = rng.uniform(0, PERIOD, xs), rng.uniform(0, PERIOD, ys)
    labels = rng.uniform(0, PERIOD, (20, 2))
    expected = [
        [min(apart(x, one, period) for one in seen_x), min(apart(y, one, period) for one in seen_y)]
        for x, y in labels
    ]
    assert composed(seen_x, seen_y, labels, period=period) == pytest.approx(
        np.array(expected), abs=1e-9
    )


SETTINGS = st.fixed_dictionaries(
    {
        "family": st.sampled_from(["bump", "sos+stripes", "bump+thinned-stripes", "stripes"]),
        "size": st.integers(6, 9),
        "spacing": st.sampled_from([0.5, 1.0]),
        "subsample": st.floats(0.05, 1),
        "held_out": st.sampled_from([None, {"kind": "cross", "width": 2.0}]),
    }
)


def scattered(error, tolerance):
    """How often an error is within a tolerance with a scatter of a millionth of a pixel."""
    return np.mean([abs(error + shift) < tolerance for shift in (-1e-6, 1e-6)])


@given(SETTINGS, st.integers(0, 20), st.sampled_from(["interior", "all", "uniform"]))
def test_accuracies_agree_with_brute_force(data, seed, kind):
    run = parse({"data": data, "seed": seed, "evaluation": {"labels": kind, "samples": 30}})
    dataset = build(run.data, seed)
    tested = evaluation_labels(run, dataset)
    found = null_accuracies(run)
    plane = dataset.lattice[dataset.seen]
    inside = [(x, y) for x, y in dataset.stripes]
    seen = [
        {*plane[:, axis], *(label[axis] for label in inside if 1 <= label[axis] <= run.data.size)}
        for axis in (0, 1)
    ]
    nearest, both, halves = [], [], []
    for x, y in tested.labels:
        near = min(plane, key=lambda one: (one[0] - x) ** 2 + (one[1] - y) ** 2, default=(99, 99))
        nearest.append(scattered(near[0] - x, 1) * scattered(near[1] - y, 1))
        halves.append(scattered(near[0] - x, 0.5) * scattered(near[1] - y, 0.5))
        closest = [
            min((abs(one - asked) for one in values), default=9)
            for values, asked in zip(seen, (x, y), strict=True)
        ]
        both.append(scattered(closest[0], 1) * scattered(closest[1], 1))
    assert found["null_nearest"] == pytest.approx(np.mean(nearest))
    assert found["null_composed"] == pytest.approx(np.mean(both))
    assert found["null_nearest_half_pixel"] == pytest.approx(np.mean(halves))
    assert found["null_composed"] >= found["null_nearest"]
    for part, mask in tested.parts(run.data).items():
        assert found[f"null_nearest_{part}"] == pytest.approx(np.mean(np.array(nearest)[mask]))
    assert found.get("null_nearest_seen", 1.0) == 1.0


def test_accuracies_have_the_parts_of_the_accuracy():
    data = {"size": 8, "spacing": 0.5, "held_out": {"kind": "cross", "width": 2.0}}
    found = null_accuracies(parse({"data": data}))
    parts = ("seen", "unseen", "in_distribution", "out_of_distribution")
    arms = ("arm_vertical", "arm_horizontal", "intersection")
    planes = ("", *(f"_{part}" for part in (*parts, *arms)))
    names = {
        f"null_{m}{p}"
        for m in ("nearest", "composed")
        for p in (*planes, "_x", "_y", "_half_pixel", "_half_pixel_x", "_half_pixel_y")
    }
    assert found.keys() == names | {f"labels{plane}" for plane in planes}
    assert found["labels"] == found["labels_in_distribution"] + found["labels_out_of_distribution"]
