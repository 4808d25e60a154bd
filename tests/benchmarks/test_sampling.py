"""The samples that the benchmark counts as right, with a network that knows the images."""

import numpy as np
import pytest
import torch

from factorlab.data.dataset import build
from factorlab.data.rendering import render, to_model
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model.diffusion import Diffusion
from factorlab.parsing import parse
from tests.benchmarks.sampling import drawn_right
from tests.helpers.rounding import in_float64


class Knowing(torch.nn.Module):
    """Predicts the v of the image of a label."""

    def __init__(self, settings):
        super().__init__()
        self.settings, self.diffusion = settings, Diffusion(settings.diffusion)

    def forward(self, x_t, t, labels):
        signal, spread = self.diffusion._coefficients(t)
        return (signal * x_t - to_model(render(labels, self.settings.data))) / spread


@pytest.mark.parametrize("images", [30, 80])
@in_float64()
def test_drawn_right_reaches_ceiling_with_known_images(images):
    settings = parse(
        {
            "data": {"size": 8, "spacing": 1.0},
            "diffusion": {"prediction": "v", "sampling_steps": 3},
        }
    )
    dataset = build(settings.data, 0)
    right, seconds = drawn_right(Knowing(settings), settings, dataset, images)
    device = torch.device("cpu")
    evaluator = Evaluator(settings, dataset, Diffusion(settings.diffusion), device)
    assert len(right) % len(evaluator.labels) == 0
    assert len(right) >= images
    assert np.mean(right) == pytest.approx(evaluator.ceiling["ceiling"])
    assert seconds > 0
