"""Train a pack of trials in this process. Imports torch, which the driver avoids."""

from __future__ import annotations

import gc
import json
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
from sweeps.execution.assignments import Task
from sweeps.execution.outcomes import Ended, RunProgress
from sweeps.execution.watchdog import Watchdog


def prepare() -> Sources:
    """Prepare this process for training, and return the source files that it imported.

    Raises:
        SourcesChangedError: Source files changed since the process started.
    """
    torch.set_num_threads(1)  # each core trains its own trial on one thread
    found = sources.settle()
    code_record.code()  # query git now, while the files on disk match the imported code
    return found


def train(
    tasks: Sequence[Task], *, runs: Path, timeout: float
) -> Generator[RunProgress | Ended, None, None]:
    """Train trials together.

    Closing the generator saves a checkpoint of each trial that has not ended.

    Args:
        tasks: Trials to train.
        runs: Folder of all records.
        timeout: Seconds without a heartbeat after which the process ends.

    Yields:
        The progress of each trial after every step, and the outcome of each trial that ends.
    """
    if not tasks:
        return
    trials = [_trial(task, runs) for task in tasks]
    accuracy: dict[str, float | None] = {}
    watched = Watchdog(timeout).watching(trials[0].record.path)
    with watched, closing(run_together(trials)) as events:
        for event in events:
            key = event.trial.identity.key
            if isinstance(event, ProgressEvent):
                accuracy[key] = event.accuracy
                yield RunProgress(
                    key, event.step, event.steps, event.accuracy, event.metrics, event.loss
                )
            elif isinstance(event.error, TrialFailed):  # a retry would fail in the same way
                yield Ended(key, "failed")
            elif isinstance(event.error, Busy):
                yield Ended(key, "locked")
            else:
                yield Ended(key, "done", accuracy.get(key))
    _freeze()


@cache
def _freeze() -> None:
    """Exclude the objects that exist after the first pack from later garbage collections."""
    gc.freeze()


def _trial(task: Task, runs: Path) -> Trial:
    trial = Trial(parse(json.loads(task.settings)), runs)
    if trial.identity.key != task.key:
        raise RuntimeError(
            f"this worker computed key {trial.identity.key[:12]} but the driver planned "
            f"{task.key[:12]}: they run different versions of factorlab"
        )
    return trial
