"""The runs of a sweep as the report shows them, read once from their records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from factorlab.storage.files import DamagedFile, reason_of
from factorlab.storage.record import Record, State
from sweeps.planning.plan import Plan, PlannedTrial


@dataclass(frozen=True)
class ReportedRun:
    """One run of the sweep."""

    trial: PlannedTrial
    record: Record
    state: State

    result: dict[str, Any] | None
    """Content of `result.json`, None if the run is not done."""

    reason: str | None
    """Why the run failed, was stopped, or is damaged or unreadable; None for all others."""

    @property
    def seconds(self) -> float | None:
        """Seconds of training and evaluation, None if the run is not done."""
        return None if self.result is None else float(sum(self.result["seconds"].values()))


def readable(runs: Sequence[ReportedRun]) -> Iterator[tuple[int, ReportedRun]]:
    """Yield the runs whose records can be read, each with its index."""
    return ((index, run) for index, run in enumerate(runs) if run.state != "unreadable")


def read_runs(plan: Plan) -> list[ReportedRun]:
    """Read all runs of a sweep, in the order of its plan."""
    return [_read(trial, plan.record(trial)) for trial in plan.trials]


def _read(trial: PlannedTrial, record: Record) -> ReportedRun:
    state, result = record.state(), None
    try:
        result = record.result() if state == "done" else None
    except DamagedFile:  # since its state was read
        state = "damaged"
    except OSError as error:
        reason_of(error)
        state = "unreadable"
    return ReportedRun(trial, record, state, result, _reason(record, state))


def _reason(record: Record, state: State) -> str | None:
    """Return why a run has no result although it has ended."""
    if state == "failed":
        return record.failure()
    if state in ("damaged", "unreadable"):
        return record.problem()
    if state != "stopped":
        return None
    try:
        stopped = record.stopped()
    except (DamagedFile, OSError) as error:
        return reason_of(error)
    if stopped is None:
        return None
    return f"stopped early at step {stopped['step']} by {stopped['scheduler']}"
