"""How long a plan will take: from finished trials of the same shape, else from a short probe."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from factorlab.config import ModelSettings, RunSettings
from factorlab.record import Record
from sweeps.plan import Plan, PlannedTrial

A100_SUSTAINED = 30e12
"""Floating-point operations a second that we assume small UNets sustain on an A100, a tenth of
its bfloat16 peak of 312e12; an assumption, to price plans made on machines without one."""

_PROBE_FLOPS = 2e10  # a probe step of about half a second on one core


@dataclass(frozen=True)
class Estimate:
    """What is left of a plan."""

    seconds: dict[str, float]
    """Seconds on one core, or one share of a GPU, by key of the pending trials."""

    wall: float
    """Seconds until all are done, on `slots` at a time."""

    slots: int
    basis: str
    """Where the numbers come from."""

    steps: int
    """Training steps in all."""

    flops: float
    """Floating-point operations in all, training and evaluation."""


@cache
def _flops_per_image(size: int, model: ModelSettings) -> float:
    """Return the operations of one forward pass of one image, counted on shapes alone."""
    import torch  # noqa: PLC0415 - seconds that a finished sweep does without
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    from factorlab.unet import UNet  # noqa: PLC0415

    with torch.device("meta"):
        network = UNet(model)
        inputs = (torch.empty(1, 1, size, size), torch.empty(1), torch.empty(1, 2))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return float(counter.get_total_flops())


def _forward_passes(settings: RunSettings, tested: int) -> float:
    """Return images times network calls of all evaluations of a run."""
    when = settings.evaluation
    steps = settings.training.steps
    regular = range(when.every, steps + 1, when.every) if when.every else ()
    evaluations = len({*regular, *when.at, steps})
    return evaluations * tested * settings.diffusion.sampling_steps


def flops(settings: RunSettings, tested: int) -> float:
    """Return the operations of a run; a backward pass costs two forward ones.

    Args:
        settings: the run.
        tested: labels of an evaluation.
    """
    image = _flops_per_image(settings.data.size, settings.model)
    trained = 3 * settings.training.steps * settings.training.batch_size
    return image * (trained + _forward_passes(settings, tested))


def _shape(settings: RunSettings) -> tuple[int, ModelSettings, int]:
    """Return what decides the time of a step."""
    return settings.data.size, settings.model, settings.training.batch_size


def _probe(settings: RunSettings) -> float:
    """Return seconds a training step, measured here on one thread.

    Forward and backward pass, which are nearly all of it. Large batches are probed with fewer
    images and scaled, so that a probe stays short.
    """
    import torch  # noqa: PLC0415

    from factorlab.diffusion import Diffusion  # noqa: PLC0415
    from factorlab.trial import resolve_device  # noqa: PLC0415
    from factorlab.unet import UNet  # noqa: PLC0415

    device, size = resolve_device(settings.device), settings.data.size
    batch = settings.training.batch_size
    affordable = int(_PROBE_FLOPS / (3 * _flops_per_image(size, settings.model)))
    probed = max(1, min(batch, affordable))
    diffusion, model = Diffusion(settings.diffusion, device), UNet(settings.model).to(device)
    images = torch.zeros(probed, 1, size, size, device=device)
    labels = torch.ones(probed, 2, device=device)
    t = torch.zeros(probed, dtype=torch.long, device=device)
    threads, times = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for _ in range(4):
        start = time.perf_counter()
        diffusion.loss(model, images, labels, t, images).backward()
        model.head.weight.grad = None
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return min(times) * batch / probed


def _measured(plan: Plan) -> dict[tuple[int, ModelSettings, int], float]:
    """Return seconds a step by shape, from the finished trials of the plan."""
    seen = defaultdict(list)
    for trial in plan.trials:
        if trial.state == "done":
            result = Record(plan.runs, trial.key).result()
            assert result is not None
            seen[_shape(trial.settings)].append(result["seconds"]["train"] / result["steps"])
    return {shape: statistics.median(times) for shape, times in seen.items()}


def slots(plan: Plan) -> int:
    """Return how many trials run at a time on this machine."""
    import torch  # noqa: PLC0415

    cores = max(1, int(len(os.sched_getaffinity(0)) / plan.experiment.resources.cpu))
    if torch.cuda.is_available():
        return max(1, min(cores, int(torch.cuda.device_count() / plan.experiment.resources.gpu)))
    return cores


def estimate(plan: Plan, pending: list[PlannedTrial]) -> Estimate:
    """Return what is left of a plan; probes each new shape for about a second.

    An evaluation's network call costs a third of a training step of as many images.
    """
    per_step = _measured(plan)
    basis = "finished trials" if per_step else "a probe of this machine"
    seconds = {}
    for trial in pending:
        shape, settings = _shape(trial.settings), trial.settings
        if shape not in per_step:
            per_step[shape] = _probe(settings)
            basis = "a probe of this machine"
        passes = _forward_passes(settings, trial.tested) / (3 * settings.training.batch_size)
        seconds[trial.key] = per_step[shape] * (settings.training.steps + passes)
    at_once = slots(plan) if pending else 1
    # Longest first on equal slots ends at most one longest trial after the mean load.
    longest = max(seconds.values(), default=0.0)
    return Estimate(
        seconds=seconds,
        wall=max(sum(seconds.values()) / at_once, longest),
        slots=at_once,
        basis=basis,
        steps=sum(trial.settings.training.steps for trial in pending),
        flops=sum(flops(trial.settings, trial.tested) for trial in pending),
    )
