"""The evaluator with models whose answers are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from factorlab.data import lattice
from factorlab.data.dataset import build
from factorlab.data.rendering import render, to_model
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model.diffusion import Diffusion, cumulative_alphas
from factorlab.model.unet import UNet
from tests.helpers.rounding import EXACT, in_float64
from tests.helpers.settings import evaluated_run as settings_of

CPU = torch.device("cpu")


class Knowing(nn.Module):
    """Predicts the v of the clean image of a moved label, made brighter by `light`."""

    def __init__(self, settings, move=lambda labels: labels, light=0.0):
        super().__init__()
        self.data, self.move, self.light = settings.data, move, light
        self.abar = cumulative_alphas(settings.diffusion).float()  # float64 in tests in float64
        self.seen = []

    def forward(self, x, t, labels):
        self.seen.append(labels)
        a = self.abar[t].view(-1, 1, 1, 1)
        image = to_model(render(self.move(labels), self.data)) + self.light
        return (a.sqrt() * x - image) / (1 - a).sqrt()


def evaluator_of(settings):
    dataset, diffusion = build(settings.data, settings.seed), Diffusion(settings.diffusion)
    diffusion.abar = cumulative_alphas(settings.diffusion).float()
    return Evaluator(settings, dataset, diffusion, CPU)


DATA = [
    {"size": 8, "family": "bump"},
    {"size": 8, "family": "sos+stripes"},
    {"size": 8, "family": "bump", "periodic": True},
    {"size": 9, "family": "sos", "periodic": True},
    {"size": 8, "family": "stripes"},
    {"size": 8, "family": "bump+stripes", "held_out": {"kind": "cross", "width": 2}},
]


@pytest.mark.parametrize("data", DATA)
@in_float64()
def test_evaluate_known_images_reach_ceiling_without_loss(data):
    settings = settings_of(data=data, evaluation={"samples": 60})
    metrics = evaluator_of(settings).evaluate(Knowing(settings)).metrics
    accuracies = {k: v for k, v in metrics.items() if k.startswith("accuracy")}
    assert {k.replace("accuracy", "ceiling") for k in accuracies} == {
        k for k in metrics if k.startswith("ceiling") and k != "ceiling_contrast"
    }
    assert metrics["ceiling_contrast"] == 1
    for name, value in accuracies.items():
        assert value == metrics[name.replace("accuracy", "ceiling")] == 1
    assert metrics["train_loss"] < EXACT**2
    assert metrics["validation_loss"] < EXACT**2


def test_evaluator_ceiling_on_all_labels_is_published_one():
    """The ceiling is 91 % at N = 8, sigma 1, step 0.5."""
    settings = settings_of(data={"size": 8}, evaluation={"labels": "all", "samples": 225})
    metrics = evaluator_of(settings).evaluate(Knowing(settings)).metrics
    assert round(100 * metrics["ceiling"]) == 91
    # The model renders in float32. A pixel between two grey values may get the other one, and a
    # label read almost a pixel off may change sides with it. This concerns at most two labels.
    assert metrics["accuracy"] == pytest.approx(metrics["ceiling"], abs=2 / 225)


@in_float64()
def test_evaluate_shares_of_failures():
    settings = settings_of(data={"size": 8})
    evaluator = evaluator_of(settings)

    def metrics(move, light=0.0):
        return evaluator.evaluate(Knowing(settings, move, light)).metrics

    # Brighter than white, which sampling clips: nothing is left to rounding.
    blank = metrics(lambda labels: labels + 100, light=1.0)
    assert blank["accuracy"] == 0
    assert blank["share_none"] == 1
    shifted = metrics(lambda labels: torch.stack([9 - labels[:, 0], labels[:, 1]], 1))
    assert shifted["accuracy_y"] == 1
    # Of the labels 2, 2.5, ..., 7, only 4.5 is less than a pixel from its mirror image.
    middle = evaluator.labels[:, 0] == 4.5
    assert shifted["share_misplaced"] == pytest.approx(1 - middle.mean())
    assert shifted["share_none"] == shifted["share_several"] == 0


def untrained():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNet(settings_of().model)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@in_float64()
def test_evaluate_independent_of_batch_size(batch_size, eta):
    def outcome(size):
        settings = settings_of(
            evaluation={"batch_size": size, "keep": 30}, diffusion={"eta": eta, "sampling_steps": 4}
        )
        return evaluator_of(settings).evaluate(untrained())

    small, large = outcome(batch_size), outcome(256)
    np.testing.assert_array_equal(small.images, large.images)
    np.testing.assert_array_equal(small.labels, large.labels)
    for name, value in large.metrics.items():
        if name.endswith("loss"):
            assert small.metrics[name] == pytest.approx(value, rel=EXACT)
        else:
            assert small.metrics[name] == value


@in_float64()
def test_evaluate_image_independent_of_label_count():
    """The noise of a label depends on its place in the lattice only."""

    def images(samples):
        settings = settings_of(evaluation={"samples": samples, "keep": 10**6})
        outcome = evaluator_of(settings).evaluate(untrained())
        return dict(zip(map(tuple, outcome.labels), outcome.images, strict=True))

    few, many = images(10), images(49)
    assert set(few) < set(many)
    for label, image in few.items():
        np.testing.assert_array_equal(image, many[label])


def test_evaluate_twice_gives_the_same():
    evaluator, model = evaluator_of(settings_of()), untrained().train()
    before = torch.get_rng_state()
    first, second = evaluator.evaluate(model), evaluator.evaluate(model)
    assert first.metrics == second.metrics
    np.testing.assert_array_equal(first.images, second.images)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    evaluator.evaluate(model.eval())
    assert not model.training


@pytest.mark.parametrize("keep", [0, 1, 4, 30, 100])
def test_evaluate_keeps_requested_images(keep):
    settings = settings_of(evaluation={"keep": keep})
    evaluator = evaluator_of(settings)
    outcome = evaluator.evaluate(Knowing(settings))
    count = min(keep, 30)
    assert outcome.images.shape == (count, 6, 6)
    assert outcome.images.dtype == np.uint8
    assert outcome.labels.shape == outcome.readings.shape == (count, 2)
    assert len({tuple(label) for label in outcome.labels}) == count
    if count:
        assert np.abs(outcome.readings - outcome.labels).max() < 1


@pytest.mark.parametrize(
    "held_out", [None, {"kind": "cross", "width": 2}, {"kind": "rim", "width": 1}]
)
def test_evaluate_parts_add_to_whole(held_out):
    settings = settings_of(data={"size": 8, "held_out": held_out}, evaluation={"samples": 80})
    evaluator = evaluator_of(settings)

    def wrong_on_the_left(labels):
        return torch.where(labels[:, :1] < 4, labels + 3, labels)

    metrics = evaluator.evaluate(Knowing(settings, wrong_on_the_left)).metrics
    assert 0 < metrics["accuracy"] < 1

    def total(*names):
        return sum(
            metrics[f"accuracy_{name}"] * evaluator.parts[name].sum()
            for name in names
            if name in evaluator.parts
        )

    whole = pytest.approx(metrics["accuracy"] * len(evaluator.labels))
    assert total("seen", "unseen") == whole
    if held_out:
        assert total("in_distribution", "out_of_distribution") == whole
        assert not (evaluator.parts["seen"] & evaluator.parts["out_of_distribution"]).any()
    if held_out and held_out["kind"] == "cross":
        assert total("arm_vertical", "arm_horizontal", "intersection") == pytest.approx(
            total("out_of_distribution")
        )


def test_evaluator_losses_on_trained_and_new_labels():
    data = {"size": 8, "family": "bump+stripes", "held_out": {"kind": "lesion", "width": 3}}
    settings = settings_of(data=data, evaluation={"loss_samples": 300})
    evaluator, model = evaluator_of(settings), Knowing(settings)
    metrics = evaluator.losses(model)
    assert set(metrics) == {"train_loss", "validation_loss"}
    labels = torch.cat(model.seen).double().numpy()
    assert len(labels) == 600
    trained_on = {tuple(np.float32(label)) for label in evaluator.dataset.labels}
    train, validation = labels[:300], labels[300:]
    assert all(tuple(np.float32(label)) in trained_on for label in train)
    assert not lattice.held_out_mask(validation, settings.data).any()
    assert validation.min() >= 2
    assert validation.max() <= 7
    assert not any(tuple(np.float32(label)) in trained_on for label in validation)


def test_evaluator_losses_of_zero_prediction():
    settings = settings_of(
        data={"size": 8}, diffusion={"prediction": "noise"}, evaluation={"loss_samples": 500}
    )

    class Nothing(nn.Module):
        def forward(self, x, t, labels):
            return torch.zeros_like(x)

    metrics = evaluator_of(settings).losses(Nothing())
    # 4.5 standard errors of the mean square of 32,000 standard normal numbers.
    bound = 4.5 * math.sqrt(2 / (500 * 64))
    assert metrics["train_loss"] == pytest.approx(1, abs=bound)
    assert metrics["validation_loss"] == metrics["train_loss"]


def test_ceiling_with_contrast_leaves_out_bumps_between_pixels():
    """At sigma = 0.1 a bump half a pixel from all pixels is exp(-0.5^2 / 0.04) = 0.002 dark."""
    every = {"samples": 400}  # all 11 x 11 labels
    thin, wide = (
        evaluator_of(
            settings_of(data={"size": 8, "sigma": sigma, "spacing": 0.5}, evaluation=every)
        ).ceiling
        for sigma in (0.1, 1.0)
    )
    assert wide["ceiling_contrast"] == wide["ceiling"] == 1
    on_pixels = (6 / 11) ** 2  # of the labels 2, 2.5, ..., 7 along x and along y
    assert thin["ceiling_contrast"] == pytest.approx(on_pixels)
    assert thin["ceiling"] > thin["ceiling_contrast"]
