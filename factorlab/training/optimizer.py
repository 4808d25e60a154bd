"""AdamW on all weights as one vector, and its schedule.

The formulas are those of `torch.optim.AdamW` and `OneCycleLR` (tested against both). They are
written out here because the constructors in PyTorch import its compiler, which adds 2.7 s to the
start of every worker, as long as importing PyTorch itself. On a GPU, where a step is a CUDA graph,
the coefficients of all steps are stored in a table on the device.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from factorlab.config import TrainingSettings

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Kingma and Ba 2015, Algorithm 1."""

CACHED = 2**17
"""Weights that a CPU updates at a time, so that the operands stay in its cache."""

RISING = 0.3
"""Share of a one-cycle run during which the learning rate rises."""

LOWEST_BETA_1, HIGHEST_BETA_1 = 0.85, 0.95
"""Range of the decay of the first moment, which falls while the learning rate rises."""


@dataclass(frozen=True)
class ScheduleValues:
    """The schedule's values at one step."""

    learning_rate: float
    beta_1: float
    """Decay of the first moment."""


def schedule_values(settings: TrainingSettings, step: int) -> ScheduleValues:
    """Return the schedule's values at an optimizer step, counted from 0.

    The learning rate is constant or follows one cycle (Smith and Topin 2018). The cycle rises along
    half a cosine from 1/25 of the peak to the peak, then falls to 1/10000 of its initial value.
    """
    peak = settings.learning_rate
    if settings.schedule == "constant":
        return ScheduleValues(peak, BETA_1)
    low, top = peak / 25, RISING * settings.steps - 1  # top: the step of the peak
    if step <= top:
        share, start, end = step / top, low, peak
        beta_start, beta_end = HIGHEST_BETA_1, LOWEST_BETA_1
    else:
        share = (step - top) / (settings.steps - 1 - top)
        start, end = peak, low / 1e4
        beta_start, beta_end = LOWEST_BETA_1, HIGHEST_BETA_1
    left = (1 + math.cos(math.pi * share)) / 2
    return ScheduleValues(end + (start - end) * left, beta_end + (beta_start - beta_end) * left)


@dataclass(frozen=True)
class AdamWCoefficients:
    """Coefficients of an optimizer step: numbers, or zero-dimensional tensors on a GPU."""

    gradient: float | Tensor
    """Share of the gradient in the first moment."""

    spread: float | Tensor
    """Divisor of the root of the second moment."""

    keep: float | Tensor
    """Factor that weight decay applies to the weights."""

    move: float | Tensor
    """Factor of the quotient of the moments, which is added to the weights."""


def adamw_coefficients(settings: TrainingSettings, step: int) -> AdamWCoefficients:
    """Return the coefficients of an optimizer step, counted from 0, as numbers."""
    now = schedule_values(settings, step)
    first_share, second_share = (1 - beta ** (step + 1) for beta in (now.beta_1, BETA_2))
    return AdamWCoefficients(
        gradient=1 - now.beta_1,
        spread=math.sqrt(second_share),
        keep=1 - now.learning_rate * settings.weight_decay,
        move=-now.learning_rate / first_share,
    )


class CoefficientTable:
    """The coefficients of all steps of a run, on its device, with the index of the next step."""

    def __init__(self, settings: TrainingSettings, device: torch.device) -> None:
        rows = [astuple(adamw_coefficients(settings, step)) for step in range(settings.steps)]
        self._rows = torch.tensor(rows, dtype=torch.float32, device=device)
        self._next = torch.zeros(1, dtype=torch.int64, device=device)

    def take(self) -> AdamWCoefficients:
        """Return the coefficients of the next step and advance to the one after it."""
        row = self._rows[self._next][0]
        self._next += 1
        return AdamWCoefficients(*row.unbind())

    def seek(self, step: int) -> None:
        """Go to a step, counted from 0."""
        self._next.fill_(step)


class AdamW:
    """The moments of the gradient and their update of the weights (Loshchilov and Hutter 2019)."""

    def __init__(self, weights: Tensor) -> None:
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)

    def update(self, weights: Tensor, gradient: Tensor, now: AdamWCoefficients) -> None:
        """Update weights (P,) in place by one step along a gradient (P,)."""
        vectors = (weights, gradient, self.first, self.second)
        at_once = len(weights) if weights.is_cuda else CACHED
        for w, g, first, second in zip(*(v.split(at_once) for v in vectors), strict=True):
            first.lerp_(g, now.gradient)
            second.mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
            scale = second.sqrt().div_(now.spread).add_(EPSILON)
            w.mul_(now.keep)
            w.add_(first.mul(now.move).div_(scale))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments."""
        return {"first": self.first, "second": self.second}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore moments that `state_dict` returned."""
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
