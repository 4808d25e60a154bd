"""Training without a record."""

from factorlab.training.packed import PackedTraining
from factorlab.training.step import TrainingStep


def train(state, settings, dataset, diffusion, device):
    """Train one network until the configured number of steps; yields every loss."""
    ensemble = PackedTraining([TrainingStep(state, settings, dataset, diffusion, device)])
    while state.step < settings.training.steps:
        yield ensemble.step()[0]
