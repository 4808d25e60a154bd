"""How many trials should train together.

A small network leaves a processor idle between its many small operations; several of them, as one
program, do not. On one CPU core a pack of 8 takes 0.5 to 0.7 of the time where a training step has
fewer than 10^9 operations, a pack of 2 or 3 takes longer than training alone, and larger steps gain
nothing (`make bench-packs`). On a GPU a pack is what fills it: on an H100, 4 trials take 0.4 to 0.8
of the time at all sizes of the papers, 16 take 0.2 to 0.5 where a step alone leaves most of it
idle, and more gain little (`make bench-gpu`).
"""

from __future__ import annotations

from dataclasses import dataclass

from factorlab.config import RunSettings
from factorlab.model.flops import forward_flops

A100_SUSTAINED = 30e12
"""Floating-point operations a second that we assume the papers' UNets sustain on an A100 that
packs fill, a tenth of its bfloat16 peak of 312e12: half of the 62e12 that we measured on an H100
at N = 32 and width 64. Smaller images and networks reach less (`make bench-gpu`)."""

SMALL_STEP = 1e9
"""Operations of a training step up to which a CPU gains from a pack."""

FEWEST, MOST = 4, 8
"""Trials of a pack on a CPU: fewer gain nothing or lose, more gain little for their memory."""

FEW_ON_GPU, MOST_ON_GPU = 4, 16
"""Trials of a pack on a GPU that one trial keeps busy, and of one that it leaves idle."""

MEMORY_SHARE = 0.8
"""Of a pack's share of the GPU's memory, what it may take."""


def step_flops(settings: RunSettings) -> int:
    """Return the operations of a training step; a backward pass costs two forward ones."""
    return 3 * settings.training.batch_size * forward_flops(settings.model, settings.data.size)


@dataclass(frozen=True)
class PackLimits:
    """How many trials of a shape may train together."""

    fewest: int
    """Where packs would be smaller, trials train alone."""

    most: int
    """At least twice `fewest`, or 1: all train alone."""


ALONE = PackLimits(1, 1)


def on_cpu(settings: RunSettings) -> PackLimits:
    """Return how many trials of a shape should train together on a CPU core."""
    return PackLimits(FEWEST, MOST) if step_flops(settings) <= SMALL_STEP else ALONE


def on_gpu(settings: RunSettings, step: float, memory: int, room: float) -> PackLimits:
    """Return how many trials of a shape should train together on a GPU.

    Args:
        settings: a run of the shape.
        step: seconds of its training step, alone.
        memory: bytes that it takes, alone.
        room: bytes that are there for a pack.
    """
    idle = step * A100_SUSTAINED / step_flops(settings)
    wanted = min(MOST_ON_GPU, max(FEW_ON_GPU, int(idle)))
    return PackLimits(1, max(1, min(wanted, int(MEMORY_SHARE * room / memory))))
