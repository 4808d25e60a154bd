"""The training loop: a generator that yields after every step, with a state that can be saved.

The caller owns logging, evaluation and checkpoints. The loop draws every random number from the
generator in its state, so a state saved after any step continues with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from factorlab.config import RunSettings, TrainingSettings
from factorlab.dataset import Dataset
from factorlab.diffusion import Diffusion
from factorlab.images import render, to_model
from factorlab.seeding import Stream, generator, integer
from factorlab.unet import UNet


def _scheduler(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rate over the run."""
    if settings.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=settings.steps
    )


class TrainingState:
    """Everything that decides how training goes on: weights, optimizer, schedule, randomness."""

    def __init__(self, settings: RunSettings, device: torch.device) -> None:
        # The constructors of torch draw from the global generator; it is put back after.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(integer(settings.seed, Stream.WEIGHTS))
            self.model = UNet(settings.model).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=settings.training.learning_rate,
            weight_decay=settings.training.weight_decay,
            fused=True,
        )
        self.scheduler = _scheduler(self.optimizer, settings.training)
        self.average: AveragedModel | None = None
        if settings.training.ema > 0:
            average = get_ema_multi_avg_fn(settings.training.ema)
            self.average = AveragedModel(self.model, multi_avg_fn=average)
        self.generator = generator(settings.seed, Stream.BATCHES, device)
        self.step = 0

    @property
    def evaluated(self) -> nn.Module:
        """The model to evaluate: the averaged one where there is one."""
        return self.average.module if self.average is not None else self.model

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.generator.set_state(state["generator"].cpu())
        self.step = state["step"]


def _draw_indices(dataset: Dataset, settings: TrainingSettings, draw: dict[str, Any]) -> Tensor:
    """Return the indices of a batch, (B,), drawn with replacement."""
    shape = (settings.batch_size,)
    if settings.stripe_share is None or 0 in (dataset.samples_2d, len(dataset.stripes)):
        return torch.randint(dataset.samples_total, shape, **draw)
    stripe = torch.rand(shape, **draw) < settings.stripe_share
    among_2d = torch.randint(dataset.samples_2d, shape, **draw)
    among_stripes = torch.randint(len(dataset.stripes), shape, **draw)
    return torch.where(stripe, dataset.samples_2d + among_stripes, among_2d)


def train(
    state: TrainingState,
    settings: RunSettings,
    dataset: Dataset,
    diffusion: Diffusion,
    device: torch.device,
) -> Iterator[Tensor]:
    """Train until the configured number of steps, yielding the loss after every step.

    A batch is labels drawn with replacement, uniformly unless `stripe_share` says otherwise, each
    with a uniform time step and normal noise ([W] eq. 2; the drawing is ours). `state.step`
    counts the steps that are done.

    Yields:
        The loss, a scalar on the device; reading it waits for the device.
    """
    labels = torch.from_numpy(dataset.labels).to(device, torch.float32)
    batch, size = settings.training.batch_size, settings.data.size
    draw: dict[str, Any] = {"generator": state.generator, "device": device}
    mixed = settings.training.mixed_precision and device.type == "cuda"
    state.model.train()
    while state.step < settings.training.steps:
        c = labels[_draw_indices(dataset, settings.training, draw)]
        t = torch.randint(settings.diffusion.timesteps, (batch,), **draw)
        noise = torch.randn((batch, 1, size, size), **draw)
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = diffusion.loss(state.model, to_model(render(c, settings.data)), c, t, noise)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        state.scheduler.step()
        if state.average is not None:
            state.average.update_parameters(state.model)
        state.step += 1
        yield loss.detach()
