"""What a sweep spends its time on, measured: `make bench`.

On one thread, as in a trial. Compare runs on the same machine only.
"""

import numpy as np
import pytest
import torch

from factorlab import reading
from factorlab.config import parse
from factorlab.dataset import build
from factorlab.diffusion import Diffusion
from factorlab.images import render, to_8_bit, to_model
from factorlab.training import TrainingState, train

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def settings(size):
    """Return the run of the laptop profile at a size."""
    return parse(
        {
            "data": {"size": size, "subsample": 0.1},
            "model": {"width": 8},
            "diffusion": {"prediction": "v", "sampling_steps": 25},
            "training": {"steps": 100_000},
        }
    )


@pytest.mark.parametrize("size", [8, 16, 32])
def test_training_step(benchmark, size):
    run = settings(size)
    state = TrainingState(run, CPU)
    steps = train(state, run, build(run.data, 0), Diffusion(run.diffusion), CPU)
    benchmark.pedantic(lambda: next(steps), rounds=10, warmup_rounds=2)


@pytest.mark.parametrize("size", [8, 16])
def test_sampling_64_images(benchmark, size):
    run = settings(size)
    model = TrainingState(run, CPU).model.eval()
    labels = torch.full((64, 2), size / 2)
    diffusion = Diffusion(run.diffusion)
    sample = lambda: diffusion.sample(model, labels, list(range(64)), size)  # noqa: E731
    benchmark.pedantic(sample, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_reading_1024_labels(benchmark, family):
    data = parse({"data": {"size": 32, "family": family}}).data
    labels = torch.from_numpy(np.random.default_rng(0).uniform(2, 31, (1024, 2)))
    images = to_8_bit(to_model(render(labels, data))).numpy()
    benchmark(reading.read, images, family)
