"""Train a single run in this process, without Ray: `factorlab train` and `factorlab.api.run`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from factorlab.device import one_thread
from factorlab.errors import TrialFailed, UserError
from factorlab.parsing import parse
from factorlab.provenance import sources
from factorlab.storage.record import Busy
from factorlab.trial import Trial
from sweeps.planning.overrides import AXES, assign, parse_overrides


def train_one(options: Sequence[str], runs: Path, console: Console) -> dict[str, Any] | None:
    """Train a run with default settings and ``key=value`` overrides, or resume it.

    Ctrl-C and SIGTERM stop the run after the current step, with a checkpoint.

    Args:
        options: Values of the ``--set`` options.
        runs: Folder of all records.
        console: Console for messages and progress.

    Returns:
        The result with the path of the record, or None if the run was stopped.

    Raises:
        UserError: A setting is not allowed, the trial failed, or another process trains it.
    """
    nested: dict[str, Any] = {}
    for key, value in parse_overrides(options).items():
        if f"{key}.".startswith(AXES):
            raise UserError(f"--set {key}: a single run has no axes; use factorlab sweep instead")
        assign(nested, key, value, f"--set {key}")
    trial = prepare(nested, runs, "--set")
    console.print(f"record: {trial.record.path}", highlight=False, soft_wrap=True)
    if not train(trial, console):
        return None
    result = trial.record.result()
    assert result is not None
    return {"record": str(trial.record.path), **result}


def prepare(nested: dict[str, Any], runs: Path, source: str) -> Trial:
    """Return the trial of nested settings.

    Args:
        nested: Nested settings; missing ones take their defaults.
        runs: Folder of all records.
        source: File or option to name in error messages.

    Raises:
        UserError: A setting is not allowed.
    """
    _settle()
    return Trial(parse(nested, source), runs)


def train(trial: Trial, console: Console, *, shown: bool = True) -> bool:
    """Train or resume a trial, alone and on one thread; a finished one is left as it is.

    A failure of an earlier attempt is cleared. Ctrl-C and SIGTERM stop the run after the current
    step, with a checkpoint. Outside of the main thread signals are not handled.

    Args:
        trial: The trial.
        console: Console for the progress bar.
        shown: Whether to show the bar.

    Returns:
        Whether the run is finished; False if it was stopped.

    Raises:
        UserError: The trial failed, or another process trains it.
    """
    trial.record.clear_failure()
    trial.record.clear_stopped()
    progress = Progress(
        TextColumn("step"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[accuracy]}"),
        console=console,
        disable=not shown,
    )
    try:
        with one_thread(), _stop_requests() as stop, progress:
            task = progress.add_task("", total=trial.settings.training.steps, accuracy="")
            steps = trial.run()
            for step in steps:
                reached = "" if step.accuracy is None else f"accuracy {step.accuracy:.1%}"
                progress.update(task, completed=step.step, accuracy=reached)
                if stop:
                    steps.close()
                    return trial.record.result() is not None
    except (TrialFailed, Busy) as error:
        raise UserError(str(error)) from None
    return True


@cache
def _settle() -> None:
    """Import all of `factorlab` once, so that later changes on disk cannot affect this process."""
    sources.settle()


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list, in place of their handlers."""
    received: list[int] = []

    def request(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
