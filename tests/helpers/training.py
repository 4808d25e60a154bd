"""Training without a record."""

from factorlab.training.packed import PackedTraining
from factorlab.training.step import TrainingStep


def train(state, settings, dataset, diffusion, device):
    """Train one network for the configured number of steps; yield every loss."""
    training = PackedTraining([TrainingStep(state, settings, dataset, diffusion, device)])
    while state.step < settings.training.steps:
        yield training.step()[0]
