"""The labels on which a model is evaluated."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factorlab.data.dataset import build, evaluation_label_count, evaluation_labels
from factorlab.errors import UserError
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model.diffusion import Diffusion
from factorlab.parsing import parse
from tests.helpers.settings import evaluated_run as settings_of

CPU = torch.device("cpu")


def chosen_labels(settings):
    dataset = build(settings.data, settings.seed)
    return evaluation_labels(settings, dataset).places, dataset.lattice


@given(st.integers(6, 12), st.floats(0.3, 1.6), st.integers(1, 300), st.integers(0, 99))
def test_evaluation_labels_interior_draw_off_the_rim(size, d, samples, seed):
    settings = settings_of(
        seed=seed, data={"size": size, "spacing": d}, evaluation={"samples": samples}
    )
    chosen, labels = chosen_labels(settings)
    assert evaluation_label_count(settings.data, settings.evaluation) == len(chosen)
    interior = ((labels >= 2) & (labels <= size - 1)).all(axis=1)
    assert len(chosen) == min(samples, interior.sum())
    assert (np.diff(chosen) > 0).all()
    assert interior[chosen].all()
    np.testing.assert_array_equal(chosen, chosen_labels(settings)[0])


def test_evaluation_labels_draws_differ_and_cover_interior():
    draws = [chosen_labels(settings_of(seed=seed))[0] for seed in range(60)]
    assert len({tuple(draw) for draw in draws}) == 60  # of 49 labels 30 can be drawn in 3e13 ways
    assert len(set(np.concatenate(draws))) == 7**2  # 2 to 5 in halves


@pytest.mark.parametrize(
    ("data", "evaluation", "count"),
    [
        ({}, {"labels": "all"}, 11**2),
        ({}, {"labels": "interior"}, 7**2),
        ({"periodic": True}, {}, 12**2),
    ],
)
def test_evaluation_labels_all_of_frame_or_torus(data, evaluation, count):
    settings = settings_of(data=data, evaluation={"samples": 10**6} | evaluation)
    assert len(chosen_labels(settings)[0]) == count


@pytest.mark.parametrize("periodic", [False, True])
def test_evaluation_labels_uniform_draw_by_seed(periodic):
    runs = [
        settings_of(
            seed=seed,
            data={"spacing": 2.0, "periodic": periodic},
            evaluation={"labels": "uniform", "samples": 500},
        )
        for seed in (0, 0, 1)
    ]
    one, same, other = (evaluation_labels(run, build(run.data, run.seed)) for run in runs)
    np.testing.assert_array_equal(one.labels, same.labels)
    assert not np.isin(one.labels, other.labels).any()
    low, high = (1, 7) if periodic else (2, 5)  # once around the circle, or off the rim
    assert one.labels.shape == (500, 2)
    # Of 2e7 draws, (1 - 0.1 / 6)^-1000, one has all of its 1000 coordinates farther from an end.
    assert low <= one.labels.min() < low + 0.1
    assert high - 0.1 < one.labels.max() <= high
    assert not one.seen.any()
    evaluator = Evaluator(runs[0], build(runs[0].data, 0), Diffusion(runs[0].diffusion), CPU)
    # Off the rim the reader errs by less than a pixel.
    assert evaluator.ceiling["ceiling_unseen"] == evaluator.ceiling["ceiling"] == 1
    assert "ceiling_seen" not in evaluator.ceiling


def test_evaluation_labels_refuses_lattice_without_interior():
    with pytest.raises(UserError, match=r"evaluation.labels.*interior.*all"):
        chosen_labels(settings_of(data={"spacing": 5.0}))


@pytest.mark.parametrize(
    ("region", "where"),
    [
        ({"kind": "rim", "width": 1.0}, "outside"),
        ({"kind": "box", "width": 8.0}, "outside"),
        ({"kind": "box", "width": 1.0, "place": "exterior"}, "inside"),
    ],
)
def test_regions_without_labels_on_both_sides_are_refused(region, where):
    run = parse(
        {
            "data": {"size": 10, "spacing": 0.5, "held_out": region},
            "evaluation": {"labels": "region", "samples": 100},
        }
    )
    with pytest.raises(UserError, match=f"too few labels lie {where} data.held_out; allowed"):
        evaluation_label_count(run.data, run.evaluation)
    with pytest.raises(UserError, match=f"too few labels lie {where} data.held_out; allowed"):
        evaluation_labels(run, build(run.data, 0))
