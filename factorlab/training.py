"""Training: one step of one network, or of several at once, with a state that can be saved.

The caller owns logging, evaluation and checkpoints. Every random number is drawn from the
generator of its run's state, so a state saved after any step continues with the same bits.
Networks of one shape train together as one batched program, forward and backward; all else of a
run (batches, optimizer, schedule, randomness) stays its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from factorlab.config import RunSettings
from factorlab.dataset import Dataset
from factorlab.diffusion import Diffusion
from factorlab.images import render, to_model
from factorlab.optimizer import AdamW
from factorlab.seeding import Stream, generator, integer
from factorlab.unet import UNet
from factorlab.weights import Layout


class TrainingState:
    """Everything that decides how training goes on: weights, optimizer, schedule, randomness."""

    def __init__(self, settings: RunSettings, device: torch.device) -> None:
        # The constructors of torch draw from the global generator; it is put back after.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(integer(settings.seed, Stream.WEIGHTS))
            self.model = UNet(settings.model).to(device)
        if device.type == "cuda":
            self.model.to(memory_format=torch.channels_last)  # as tensor cores want them
        self.layout = Layout(self.model)
        self.weights = self.layout.join([*self.model.parameters()]).detach()
        self.layout.attach(self.model, self.weights)
        self.optimizer = AdamW(self.weights, settings.training)
        self.ema = settings.training.ema
        self.average = self.weights.clone() if self.ema > 0 else None
        self.generator = generator(settings.seed, Stream.BATCHES, device)
        self.step = 0

    @property
    def evaluated(self) -> nn.Module:
        """The model to evaluate: one with the averaged weights where there are any."""
        if self.average is None:
            return self.model
        model = copy.deepcopy(self.model)
        self.layout.attach(model, self.average)
        return model

    def move(self, weights: Tensor) -> None:
        """Keep the weights in another place, (P,), from now on."""
        weights.copy_(self.weights)
        self.weights = weights
        self.layout.attach(self.model, weights)

    def learn(self, gradient: Tensor) -> None:
        """Take an optimizer step.

        Args:
            gradient: of the loss with respect to the weights, (P,).
        """
        self.optimizer.update(self.weights, gradient, self.step)
        if self.average is not None:
            self.average.lerp_(self.weights, 1 - self.ema if self.step > 0 else 1.0)
        self.step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain values."""
        return {
            "weights": self.weights.clone(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.weights.copy_(state["weights"])
        if self.average is not None:
            self.average.copy_(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.step = state["step"]


@dataclass(frozen=True)
class Batch:
    """What the loss of a step is computed on."""

    x_0: Tensor
    """Clean images, (B, 1, N, N)."""

    labels: Tensor
    """(B, 2), x and y in pixels."""

    t: Tensor
    """Time steps, (B,)."""

    noise: Tensor
    """Of x_0's shape."""


class Learner:
    """One run that trains: its state, and where its batches come from.

    A batch is labels drawn with replacement, uniformly unless `stripe_share` says otherwise, each
    with a uniform time step and normal noise ([W] eq. 2; the drawing is ours).
    """

    def __init__(
        self,
        state: TrainingState,
        settings: RunSettings,
        dataset: Dataset,
        diffusion: Diffusion,
        device: torch.device,
    ) -> None:
        self.state, self.settings = state, settings
        self.mixed = settings.training.mixed_precision and device.type == "cuda"
        self.diffusion, self._dataset = diffusion, dataset
        self._labels = torch.from_numpy(dataset.labels).to(device, torch.float32)

    def _indices(self, draw: dict[str, Any]) -> Tensor:
        """Return the indices of a batch, (B,), drawn with replacement."""
        training, dataset = self.settings.training, self._dataset
        shape = (training.batch_size,)
        if training.stripe_share is None or 0 in (dataset.samples_2d, len(dataset.stripes)):
            return torch.randint(len(self._labels), shape, **draw)
        stripe = torch.rand(shape, **draw) < training.stripe_share
        among_2d = torch.randint(dataset.samples_2d, shape, **draw)
        among_stripes = torch.randint(len(dataset.stripes), shape, **draw)
        return torch.where(stripe, dataset.samples_2d + among_stripes, among_2d)

    def draw(self) -> Batch:
        """Return the next batch."""
        settings = self.settings
        device = self._labels.device
        draw: dict[str, Any] = {"generator": self.state.generator, "device": device}
        c = self._labels[self._indices(draw)]
        t = torch.randint(settings.diffusion.timesteps, (len(c),), **draw)
        noise = torch.randn((len(c), 1, settings.data.size, settings.data.size), **draw)
        return Batch(to_model(render(c, settings.data)), c, t, noise)


class Ensemble:
    """Networks of one shape that take their steps together."""

    def __init__(self, learners: Sequence[Learner]) -> None:
        self.learners = tuple(learners)
        states = [learner.state for learner in learners]
        self._model, self._layout = states[0].model, states[0].layout
        self._mixed = learners[0].mixed
        self._weights: list[Tensor] = [*self._model.parameters()]
        if len(states) > 1:
            matrix = states[0].weights.new_empty(len(states), len(states[0].weights))
            for state, row in zip(states, matrix, strict=True):
                state.move(row)
            views = self._layout.views(matrix)
            self._views = {name: view.requires_grad_() for name, view in views.items()}
            self._weights = [*self._views.values()]

    def step(self) -> Tensor:
        """Train every network by a step.

        Returns:
            Their losses, (K,), on the device; reading them waits for the device.
        """
        inputs, targets = zip(*(self._posed(learner) for learner in self.learners), strict=True)
        with torch.autocast(targets[0].device.type, torch.bfloat16, enabled=self._mixed):
            predictions = self._predict(inputs)
        losses = (predictions.float() - torch.stack(targets)).square().mean(dim=(1, 2, 3, 4))
        gradients = torch.autograd.grad(losses.sum(), self._weights)
        for learner, gradient in zip(self.learners, self._split(gradients), strict=True):
            learner.state.learn(gradient)
        return losses.detach()

    @staticmethod
    def _posed(learner: Learner) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Return a batch as its network meets it, ((x_t, t, labels), target)."""
        batch, diffusion = learner.draw(), learner.diffusion
        x_t = diffusion.add_noise(batch.x_0, batch.t, batch.noise)
        target = diffusion.target(batch.x_0, batch.t, batch.noise)
        return (x_t, batch.t, batch.labels), target

    def _predict(self, inputs: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """Return the prediction of every network for its inputs, (K, B, 1, N, N)."""
        if len(inputs) == 1:
            prediction: Tensor = self._model(*inputs[0])
            return prediction[None]
        stacked = [torch.stack(tensors) for tensors in zip(*inputs, strict=True)]
        predictions: Tensor = vmap(lambda w, *x: functional_call(self._model, w, x))(
            self._views, *stacked
        )
        return predictions

    def _split(self, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return every network's gradient, (P,)."""
        joined = self._layout.join(gradients)
        return [joined] if len(self.learners) == 1 else [*joined]


def train(
    state: TrainingState,
    settings: RunSettings,
    dataset: Dataset,
    diffusion: Diffusion,
    device: torch.device,
) -> Iterator[Tensor]:
    """Train one network until the configured number of steps.

    Yields:
        The loss after every step, a scalar on the device; `state.step` counts the steps done.
    """
    ensemble = Ensemble([Learner(state, settings, dataset, diffusion, device)])
    while state.step < settings.training.steps:
        yield ensemble.step()[0]
