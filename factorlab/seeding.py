"""Every random number of a run, from one seed, in streams that do not touch each other.

A stream is named by what it is for. Adding a draw to one stream leaves all others as they were,
which is what lets evaluation change without changing the weights.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Stream(IntEnum):
    """What a random stream is for; the numbers enter the results and never change."""

    SUBSAMPLE = 0
    WEIGHTS = 1
    BATCHES = 2
    EVALUATION_LABELS = 3
    SAMPLES = 4
    LOSS_ESTIMATES = 5
    REPRESENTATIONS = 6


def sequence(seed: int, stream: Stream, *index: int) -> np.random.SeedSequence:
    """Return the seed sequence of one stream of a run, or of one element of it."""
    return np.random.SeedSequence([seed, int(stream), *index])


def integer(seed: int, stream: Stream, *index: int) -> int:
    """Return a 63-bit seed for a generator of torch."""
    return int(sequence(seed, stream, *index).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, stream: Stream, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh torch generator of one stream."""
    import torch  # noqa: PLC0415 - seconds that planning a sweep does without

    return torch.Generator(device=device).manual_seed(integer(seed, stream))
