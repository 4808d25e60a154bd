"""A worker that trains nothing, to measure what thousands of runs cost the driver of a sweep."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from factorlab.storage.files import write_json
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record
from sweeps.execution.assignments import Task
from sweeps.execution.outcomes import Ended, RunProgress
from sweeps.execution.trainable import SweepOrders, Worker
from tests.benchmarks.scale import REPORTS_VARIABLE, SECONDS_VARIABLE

POINTS = 20
"""Journal lines of a run."""


def stand_in(
    tasks: Sequence[Task], *, runs: Path, seconds: float
) -> Generator[RunProgress | Ended, None, None]:
    """Do what `pack_training.train` does, with a pause in the place of the training."""
    records = [Record(runs, task.key) for task in tasks]
    for record, task in zip(records, tasks, strict=True):
        record.samples.mkdir(parents=True, exist_ok=True)
        document = {"config": json.loads(task.settings)}
        write_json(record.path / "config.json", {"key": task.key, **document})
    journals = [Journal(record.journal) for record in records]
    for point in range(1, POINTS + 1):
        time.sleep(seconds / POINTS)
        metrics = {"loss": 1 / point, "accuracy": point / POINTS, "steps_per_second": 100.0}
        for task, journal in zip(tasks, journals, strict=True):
            journal.append(point, metrics)
            yield RunProgress(task.key, point, POINTS, point / POINTS)
    for task, record in zip(tasks, records, strict=True):
        record.write_result(
            {"metrics": {"accuracy": 1.0}, "device": "stand-in", "finished": time.time()}
        )
        yield Ended(task.key, "done", 1.0)


class StandIn(Worker):
    """Reports and writes records as a worker does."""

    def setup(self, config: dict[str, Any], orders: SweepOrders) -> None:
        """Import nothing, and begin."""
        self._broken, self._asked_to_end, self._in_step = "", False, False
        self._spool, self._runs = None, Path(orders.runs)
        self._pause, self._at_evaluations = 0.0, False
        self._report_every = float(os.environ[REPORTS_VARIABLE])
        seconds = float(os.environ[SECONDS_VARIABLE])
        self._train = partial(stand_in, runs=Path(orders.runs), seconds=seconds)
        self._begin(config["pack"])
