"""Training without a record."""

import torch

from factorlab.data.dataset import build
from factorlab.model.diffusion import Diffusion
from factorlab.training.packed import PackedTraining
from factorlab.training.step import TrainingState, TrainingStep

CPU = torch.device("cpu")


def training_step(settings, device=CPU):
    """Return the training step of a run at its first step."""
    dataset, diffusion = build(settings.data, settings.seed), Diffusion(settings.diffusion, device)
    return TrainingStep(TrainingState(settings, device), settings, dataset, diffusion, device)


def train(state, settings, dataset, diffusion, device):
    """Train one network until the configured number of steps; yields every loss."""
    packed = PackedTraining([TrainingStep(state, settings, dataset, diffusion, device)])
    while state.step < settings.training.steps:
        yield packed.step()[0]
