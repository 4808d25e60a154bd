"""Training a pack of trials in this process. It imports torch, which the driver does without."""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

import torch

from factorlab.errors import TrialFailed
from factorlab.parsing import parse
from factorlab.provenance import code_record, sources
from factorlab.provenance.sources import Sources
from factorlab.storage.record import Busy
from factorlab.trial import Trial, run_together
from factorlab.trial_runner import ProgressEvent
from sweeps.execution.watchdog import Watchdog
from sweeps.execution.work_queue import Ended, RunProgress, Task


def prepare() -> Sources:
    """Make this process a worker; returns the code that it imported.

    Raises:
        SourcesChangedError: the code changed meanwhile.
    """
    torch.set_num_threads(1)  # as many trials as cores, each on one thread
    found = sources.settle()
    code_record.code()  # asks git now, while the disk is as it was imported
    return found


def train(tasks: Sequence[Task], timeout: float) -> Generator[RunProgress | Ended, None, None]:
    """Train trials together, yielding how far each is after every step, and when it ended.

    Closing the iterator saves a checkpoint of each that has not ended.

    Args:
        tasks: what to train.
        timeout: seconds without a sign of life after which the process ends.
    """
    if not tasks:
        return
    trials = [_trial(task) for task in tasks]
    accuracy: dict[str, float | None] = {}
    watched = Watchdog(timeout).watching(trials[0].record.path)
    with watched, closing(run_together(trials)) as events:
        for event in events:
            key = event.trial.identity.key
            if isinstance(event, ProgressEvent):
                accuracy[key] = event.accuracy
                yield RunProgress(key, event.step, event.steps, event.accuracy)
            elif isinstance(event.error, TrialFailed):  # trying again would repeat it
                yield Ended(key, "failed")
            elif isinstance(event.error, Busy):
                yield Ended(key, "locked")
            else:
                yield Ended(key, "done", accuracy.get(key))
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
