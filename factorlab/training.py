"""Training: one step of one network, or of several at once, with a state that can be saved.

The caller owns logging, evaluation and checkpoints. Every random number is drawn from the
generator of its run's state, so a state saved after any step continues with the same bits.
Networks of one shape can take their steps together; all else of a run (batches, optimizer,
schedule, randomness) stays its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from factorlab.config import RunSettings
from factorlab.dataset import Dataset
from factorlab.diffusion import Diffusion
from factorlab.images import render, to_model
from factorlab.optimizer import AdamW, FactorTable, factors
from factorlab.replay import replayed
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
        self.optimizer, self._training = AdamW(self.weights), settings.training
        # A recorded step can take no number from the host.
        self._table = FactorTable(self._training, device) if device.type == "cuda" else None
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
        """Take an optimizer step; who calls it counts it.

        Args:
            gradient: of the loss with respect to the weights, (P,).
        """
        now = self._table.take() if self._table else factors(self._training, self.step)
        self.optimizer.update(self.weights, gradient, now)
        if self.average is not None:
            self.average.lerp_(self.weights, 1 - self.ema if self.step > 0 else 1.0)

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
        if self._table is not None:
            self._table.seek(self.step)


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
        self._mixed = settings.training.mixed_precision and device.type == "cuda"
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

    def posed(self) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Return the next batch as the network meets it, ((x_t, t, labels), target)."""
        batch, diffusion = self.draw(), self.diffusion
        x_t = diffusion.add_noise(batch.x_0, batch.t, batch.noise)
        target = diffusion.target(batch.x_0, batch.t, batch.noise)
        return (x_t, batch.t, batch.labels), target

    def learn(self) -> Tensor:
        """Do all of a step alone that happens on the device.

        Returns:
            The loss, a scalar.
        """
        inputs, target = self.posed()
        kind, model = target.device.type, self.state.model
        # Weights are used once a step; a recording must not keep their copies for the next.
        with torch.autocast(kind, torch.bfloat16, enabled=self._mixed, cache_enabled=False):
            prediction: Tensor = model(*inputs)
        loss = (prediction.float() - target).square().mean()
        gradients = torch.autograd.grad(loss, [*model.parameters()])
        self.state.learn(self.state.layout.join(gradients))
        return loss.detach()


class Ensemble:
    """Networks of one shape that take their steps together.

    On a CPU as one batched program, forward and backward, where there are several. On a GPU as
    recordings that run side by side, each on a stream of its own: a small network's kernels leave
    most of a GPU idle, and each computes the same bits as alone.
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        self.learners = tuple(learners)
        states = [learner.state for learner in learners]
        device = states[0].weights.device
        if device.type == "cuda":
            self._streams = [torch.cuda.Stream(device) for _ in states]
            generators = [state.generator for state in states]
            self._learn: Callable[[], Tensor] = replayed(self._side_by_side, device, generators)
        elif len(states) == 1:
            self._learn = lambda: learners[0].learn()[None]
        else:
            self._model, self._layout = states[0].model, states[0].layout
            matrix = states[0].weights.new_empty(len(states), len(states[0].weights))
            for state, row in zip(states, matrix, strict=True):
                state.move(row)
            views = self._layout.views(matrix)
            self._weights = {name: view.requires_grad_() for name, view in views.items()}
            self._learn = self._batched

    def step(self) -> Tensor:
        """Train every network by a step.

        Returns:
            Their losses, (K,), on the device; reading them waits for the device.
        """
        losses = self._learn()
        for learner in self.learners:
            learner.state.step += 1
        return losses

    def _side_by_side(self) -> Tensor:
        """Learn on as many streams as networks; returns the losses, (K,)."""
        now, losses = torch.cuda.current_stream(), []
        for learner, stream in zip(self.learners, self._streams, strict=True):
            stream.wait_stream(now)
            with torch.cuda.stream(stream):
                losses.append(learner.learn())
        for stream in self._streams:
            now.wait_stream(stream)
        return torch.stack(losses)

    def _batched(self) -> Tensor:
        """Learn as one program; returns the losses, (K,)."""
        inputs, targets = zip(*(learner.posed() for learner in self.learners), strict=True)
        stacked = [torch.stack(tensors) for tensors in zip(*inputs, strict=True)]
        predictions: Tensor = vmap(lambda w, *x: functional_call(self._model, w, x))(
            self._weights, *stacked
        )
        losses = (predictions - torch.stack(targets)).square().mean(dim=(1, 2, 3, 4))
        gradients = torch.autograd.grad(losses.sum(), [*self._weights.values()])
        joined = self._layout.join(gradients)
        for learner, gradient in zip(self.learners, joined, strict=True):
            learner.state.learn(gradient)
        return losses.detach()


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
