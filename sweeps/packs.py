"""Training a pack of trials in this process. It imports torch, which the driver does without."""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

import torch

from factorlab.config import parse
from factorlab.errors import TrialFailed
from factorlab.record import Busy
from factorlab.trial import Trial
from sweeps.work import At, Ended, Task


def prepare() -> None:
    """Make this process a worker."""
    torch.set_num_threads(1)  # as many trials as cores, each on one thread


def train(tasks: Sequence[Task]) -> Generator[At | Ended, None, None]:
    """Train trials one after another, yielding after every step and when one ended.

    Closing the iterator saves a checkpoint of the trial in hand.
    """
    for task in tasks:
        accuracy = None
        try:
            with closing(_trial(task).run()) as steps:
                for at in steps:
                    accuracy = at.accuracy
                    yield At(task.key, at.step, at.steps, at.accuracy)
            yield Ended(task.key, "done", accuracy)
        except TrialFailed:  # the record says why; trying again would repeat it
            yield Ended(task.key, "failed")
        except Busy:
            yield Ended(task.key, "elsewhere")
        _freeze()


@cache
def _freeze() -> None:
    """Spare the collection at each trial's end, once, what the first has imported."""
    gc.freeze()


def _trial(task: Task) -> Trial:
    trial = Trial(parse(task.settings), Path(task.runs))
    if trial.identity.key != task.key:
        raise RuntimeError(
            f"this worker computes key {trial.identity.key[:12]} where the driver planned "
            f"{task.key[:12]}: they run different versions of factorlab"
        )
    return trial
