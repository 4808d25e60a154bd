"""Training: the state of one network and its training step.

The caller is responsible for logging, evaluation and checkpoints. Every random number is drawn from
the generator in the run's state, so training resumed from a state saved after any step is
bit-identical to uninterrupted training.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from factorlab.config import RunSettings
from factorlab.data.dataset import Dataset
from factorlab.data.rendering import render, to_model
from factorlab.model.diffusion import Diffusion, denoising_loss
from factorlab.model.unet import untrained
from factorlab.seeding import Stream, generator
from factorlab.training.flat_parameters import FlatParameters
from factorlab.training.optimizer import AdamW, CoefficientTable, adamw_coefficients


class TrainingState:
    """Everything that determines the rest of training: weights, optimizer, schedule, randomness."""

    def __init__(self, settings: RunSettings, device: torch.device) -> None:
        self.model = untrained(settings).to(device)
        if device.type == "cuda":
            self.model.to(memory_format=torch.channels_last)  # the layout tensor cores need
        self.layout = FlatParameters(self.model)
        self.weights = self.layout.join([*self.model.parameters()]).detach()
        self.layout.attach(self.model, self.weights)
        self.optimizer, self._training = AdamW(self.weights), settings.training
        # A CUDA graph cannot read host values, so its coefficients are stored on the device.
        self._table = CoefficientTable(self._training, device) if device.type == "cuda" else None
        self.ema = settings.training.ema
        self.average = self.weights.clone() if self.ema > 0 else None
        self.generator = generator(settings.seed, Stream.BATCHES, device)
        self.step = 0

    @property
    def evaluated(self) -> nn.Module:
        """The model to evaluate: with averaged weights if there are any."""
        if self.average is None:
            return self.model
        model = copy.deepcopy(self.model)
        self.layout.attach(model, self.average)
        return model

    def move(self, weights: Tensor) -> None:
        """Move the weights to another tensor, (P,), and use it from now on."""
        weights.copy_(self.weights)
        self.weights = weights
        self.layout.attach(self.model, weights)

    def learn(self, gradient: Tensor) -> None:
        """Take an optimizer step. The caller increments the step count.

        Args:
            gradient: Gradient of the loss with respect to the weights, (P,).
        """
        now = self._table.take() if self._table else adamw_coefficients(self._training, self.step)
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
        """Restore a state that `state_dict` returned."""
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
    """The inputs of the loss of one step."""

    x_0: Tensor
    """Clean images, (B, 1, N, N)."""

    labels: Tensor
    """(B, 2), x and y in pixels."""

    t: Tensor
    """Time steps, (B,)."""

    noise: Tensor
    """Noise of the shape of x_0."""


class TrainingStep:
    """The training step of one run: its state and the source of its batches.

    The labels of a batch are drawn with replacement, uniformly unless `stripe_share` is set. Each
    gets a uniform time step and normal noise ([W] eq. 2; the way of drawing is our choice).
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
        self.parts = 1
        """Parts into which a batch is split to save memory."""
        self._mixed = settings.training.mixed_precision and device.type == "cuda"
        self.diffusion, self._dataset = diffusion, dataset
        self._labels = torch.from_numpy(dataset.labels).to(device, torch.float32)
        self._gradient = torch.empty_like(state.weights)  # reused: allocating costs page faults

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

    def make_batch(self) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Return the next batch as network inputs and target, ((x_t, t, labels), target)."""
        batch, diffusion = self.draw(), self.diffusion
        x_t = diffusion.add_noise(batch.x_0, batch.t, batch.noise)
        target = diffusion.target(batch.x_0, batch.t, batch.noise)
        return (x_t, batch.t, batch.labels), target

    def learn(self) -> Tensor:
        """Run the device part of a training step: batch, loss, gradient and optimizer step.

        Returns:
            The loss, a scalar.

        Raises:
            torch.OutOfMemoryError: Memory ran out before the optimizer step. Only the generator of
                the state has changed.
            RuntimeError: Memory ran out during the optimizer step. The state is partly updated.
        """
        inputs, target = self.make_batch()
        size = -(-len(target) // self.parts)
        first, *others = zip(*(tensor.split(size) for tensor in (*inputs, target)), strict=True)
        loss, slope = self._loss_and_grad(first, len(target), self._gradient)
        for part in others:
            more_loss, more_slope = self._loss_and_grad(part, len(target))
            loss, slope = loss + more_loss, slope.add_(more_slope)
        try:
            self.state.learn(slope)
        except torch.OutOfMemoryError as error:  # the state is partly updated: no retry
            raise RuntimeError(f"out of memory during an optimizer step: {error}") from None
        return loss

    def _loss_and_grad(
        self, part: Sequence[Tensor], whole: int, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return loss and gradient, (P,), of a part of a batch, weighted by its share of the batch.

        Args:
            part: x_t, t, labels and target.
            whole: Number of images in the full batch.
            out: Tensor to write the gradient to.
        """
        *inputs, target = part
        kind, model = target.device.type, self.state.model
        # No cache of cast weights: each is used once per step, and a CUDA graph would keep it.
        with torch.autocast(kind, torch.bfloat16, enabled=self._mixed, cache_enabled=False):
            prediction: Tensor = model(*inputs)
        loss = denoising_loss(prediction, target) * (len(target) / whole)
        gradients = torch.autograd.grad(loss, [*model.parameters()])
        return loss.detach(), self.state.layout.join(gradients, out)
