"""How many trials should train together.

A small network leaves a processor idle between its many small operations. Training several networks
in one program fills these gaps. Times below are relative to training the trials one by one.

On one CPU core, a pack of 8 takes 0.5 to 0.7 of the time if a training step has fewer than 10^9
operations. A pack of 2 or 3 is slower than training alone, and larger steps gain nothing
(`make bench-packs`).

On an H100, a pack of 4 takes 0.4 to 0.8 of the time at all sizes of the papers. A pack of 16 takes
0.2 to 0.5 where a single training step leaves most of the GPU idle. Larger packs gain little
(`make bench-gpu`).
"""

from __future__ import annotations

from dataclasses import dataclass

from factorlab.config import RunSettings
from factorlab.model.flops import forward_flops

A100_SUSTAINED = 30e12
"""Floating-point operations per second that we assume for packs of the papers' UNets on an A100.

This is a tenth of its bfloat16 peak of 312e12, and half of the 62e12 that we measured on an H100 at
N = 32 and width 64. Smaller images and networks reach less (`make bench-gpu`)."""

SMALL_STEP = 1e9
"""Maximum operations of a training step for which packs are faster on a CPU."""

FEWEST, MOST = 4, 8
"""Minimum and maximum pack size on a CPU. Smaller packs gain nothing or are slower than training
alone; larger ones gain little for the memory they need."""

FEW_ON_GPU, MOST_ON_GPU = 4, 16
"""Pack size on a GPU that a single trial keeps busy, and on one that it leaves mostly idle."""

MEMORY_SHARE = 0.8
"""Share of the GPU memory available to a pack that it may use."""


def step_flops(settings: RunSettings) -> int:
    """Return the operations of a training step; a backward pass counts as two forward passes."""
    return 3 * settings.training.batch_size * forward_flops(settings.model, settings.data.size)


@dataclass(frozen=True)
class PackLimits:
    """Range of pack sizes for trials of one shape."""

    fewest: int
    """Minimum pack size. If packs would be smaller, trials train alone."""

    most: int
    """Maximum pack size: at least twice `fewest`, or 1 if all trials train alone."""


ALONE = PackLimits(1, 1)


def on_cpu(settings: RunSettings) -> PackLimits:
    """Return how many trials of a shape should train together on a CPU core."""
    return PackLimits(FEWEST, MOST) if step_flops(settings) <= SMALL_STEP else ALONE


def on_gpu(settings: RunSettings, step: float, memory: int, room: float) -> PackLimits:
    """Return how many trials of a shape should train together on a GPU.

    Args:
        settings: Settings of a run of the shape.
        step: Seconds per training step of a single trial.
        memory: Bytes of GPU memory that a single trial needs.
        room: Bytes of GPU memory available to a pack.
    """
    idle = step * A100_SUSTAINED / step_flops(settings)
    wanted = min(MOST_ON_GPU, max(FEW_ON_GPU, int(idle)))
    return PackLimits(1, max(1, min(wanted, int(MEMORY_SHARE * room / memory))))
