"""`factorlab train`: train a single run in this process, without Ray."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
    torch.set_num_threads(1)  # as in a sweep, so that either can resume the other's trial
    sources.settle()
    nested: dict[str, Any] = {}
    for key, value in parse_overrides(options).items():
        if f"{key}.".startswith(AXES):
            raise UserError(f"--set {key}: a single run has no axes; use factorlab sweep instead")
        assign(nested, key, value, f"--set {key}")
    trial = Trial(parse(nested, "--set"), runs)
    console.print(f"record: {trial.record.path}", highlight=False, soft_wrap=True)
    trial.record.clear_failure()
    trial.record.clear_stopped()
    stop: list[int] = []

    def request(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    progress = Progress(
        TextColumn("step"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[accuracy]}"),
        console=console,
    )
    try:
        with progress:
            task = progress.add_task("", total=trial.settings.training.steps, accuracy="")
            steps = trial.run()
            for step in steps:
                shown = "" if step.accuracy is None else f"accuracy {step.accuracy:.1%}"
                progress.update(task, completed=step.step, accuracy=shown)
                if stop:
                    steps.close()
                    return None
    except (TrialFailed, Busy) as error:
        raise UserError(str(error)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    result = trial.record.result()
    assert result is not None
    return {"record": str(trial.record.path), **result}
