"""All random numbers of a run, derived from one seed in independent streams.

Each stream has one purpose. An additional draw from one stream does not change the others, so a
change in evaluation cannot change the weights.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Stream(IntEnum):
    """Purpose of a random stream. The numbers affect results and must never change."""

    SUBSAMPLE = 0
    WEIGHTS = 1
    BATCHES = 2
    EVALUATION_LABELS = 3
    SAMPLES = 4
    LOSS_ESTIMATES = 5
    REPRESENTATIONS = 6
    ARRANGEMENT = 7


def sequence(seed: int, stream: Stream, *index: int) -> np.random.SeedSequence:
    """Return the seed sequence of one stream of a run, or of one element of it."""
    return np.random.SeedSequence([seed, int(stream), *index])


def integer(seed: int, stream: Stream, *index: int) -> int:
    """Return a 63-bit seed for a torch generator."""
    return int(sequence(seed, stream, *index).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, stream: Stream, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a new torch generator of one stream."""
    import torch  # noqa: PLC0415 - takes seconds, and planning a sweep does not need it

    return torch.Generator(device=device).manual_seed(integer(seed, stream))
