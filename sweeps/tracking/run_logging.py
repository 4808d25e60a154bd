"""Log parameters, metrics, artifacts and the status of one MLflow run.

All functions can be called repeatedly. What the run already has is not sent again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from factorlab.storage import journal
from factorlab.storage.files import read_json
from factorlab.storage.journal import Point
from factorlab.storage.record import Record
from sweeps.tracking.batch import Batch

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

TAG_LENGTH = 5000
"""Characters of a tag: a limit of MLflow."""

NOTE_LENGTH = 8000
"""Characters of a description, which is a tag: the limit of MLflow 3."""

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
"""Status of an MLflow run."""

_STATUS: dict[str, RunStatus] = {"result.json": "FINISHED", "failure.json": "FAILED"}
_STATES: dict[RunStatus, str] = {
    "FINISHED": "done",
    "FAILED": "failed",
    "KILLED": "stopped",
    "RUNNING": "running",
}


@dataclass(frozen=True)
class TrackedTrial:
    """A trial as it is shown in MLflow."""

    key: str
    """Key of its record, ``runs/trials/<key>``."""

    name: str
    """Readable name, e.g. "bump N=8 lambda=0.02 seed=0"."""

    parameters: dict[str, str]
    """Settings by dotted key, e.g. "data.size" -> "8"."""


@dataclass
class RunSyncState:
    """What has been sent to a trial's run; saved in the trial's record."""

    run: str
    """Id of the run."""
    status: RunStatus = "RUNNING"
    offset: int = 0
    """Bytes of the journal that were sent."""
    outcome: int = 0
    """Modification time (ns) of the result or failure file that was sent."""
    files: dict[str, int] = field(default_factory=dict)
    """Modification time (ns) of each uploaded file, by path in the record."""
    analysed: dict[str, int] = field(default_factory=dict)
    """Bytes of the measures that were sent, by layer."""
    model: str | None = None
    """Id of the MLflow model of the final network."""


@dataclass(frozen=True)
class Ending:
    """How a trial ended, as its run shows it."""

    status: RunStatus
    when: float
    """Seconds since the epoch."""
    written: int
    """Modification time (ns) of the result or failure file."""
    tags: dict[str, str]


def milliseconds(seconds: float) -> int:
    """Convert a time in seconds to MLflow's integer milliseconds."""
    return int(seconds * 1000)


def new_metrics(
    client: MlflowClient, run: str, points: Sequence[Point], *, some_are_there: bool
) -> list[Metric]:
    """Return the metric values of points, with the times of the journal.

    Args:
        client: Client of the store.
        run: Id of the run.
        points: Points of a journal.
        some_are_there: Whether the run may already have some of the points. If so, its points are
            queried and left out, because not every store recognises repeated points.
    """
    from mlflow.entities import Metric  # noqa: PLC0415 - seconds

    metrics = [
        Metric(name, value, milliseconds(point.time), point.step)
        for point in points
        for name, value in point.metrics.items()
    ]
    if not some_are_there:
        return metrics
    there = {
        (name, metric.step)
        for name in {metric.key for metric in metrics}
        for metric in client.get_metric_history(run, name)
    }
    return [metric for metric in metrics if (metric.key, metric.step) not in there]


def terminal_file(record: Record) -> Path | None:
    """Return the result or failure file of a trial, or None if the trial has not ended."""
    for name in _STATUS:
        if (record.path / name).exists():
            return record.path / name
    return None


def is_new(child: RunSyncState, ending: Path) -> bool:
    """Return whether a run does not show yet how its trial ended.

    Args:
        child: Sync state of the run.
        ending: Result or failure file of the trial.
    """
    return (child.status, child.outcome) != (_STATUS[ending.name], ending.stat().st_mtime_ns)


def status_of(record: Record) -> RunStatus | None:
    """Return the run status for a trial that has ended, or None if it has not."""
    ending = terminal_file(record)
    return None if ending is None else _STATUS[ending.name]


def set_tags(client: MlflowClient, run: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run."""
    Batch(tags=dict(tags)).send(client, run)


def log_artifacts(
    client: MlflowClient, uri: str, child: RunSyncState, record: Record, ending: Path | None
) -> None:
    """Upload the files of a record that are new or have changed since the last upload.

    Args:
        client: Client of the store.
        uri: Artifact location of the run. The client would query the store for it.
        child: Sync state of the run.
        record: Record of the trial.
        ending: Result or failure file of the trial, or None.
    """
    from mlflow.store.artifact.artifact_repository_registry import (  # noqa: PLC0415 - seconds
        get_artifact_repository,
    )

    pictures = [*record.samples.glob("*.png"), *record.analysis.glob("*/*.png")]
    files = [record.path / "config.json", *sorted(pictures)]
    if ending is not None and ending.name == "result.json":
        files.append(ending)
    changed = {path: path.stat().st_mtime_ns for path in files}
    new = [path for path in files if child.files.get(_name(path, record)) != changed[path]]
    if not new:
        return
    repository = get_artifact_repository(uri, tracking_uri=client.tracking_uri)
    for path in new:
        folder = str(path.parent.relative_to(record.path)) if path.parent != record.path else None
        repository.log_artifact(str(path), folder)
        child.files[_name(path, record)] = changed[path]


def _name(path: Path, record: Record) -> str:
    return str(path.relative_to(record.path))


def new_measures(
    client: MlflowClient, child: RunSyncState, record: Record, *, some_are_there: bool
) -> tuple[list[Metric], dict[str, int]]:
    """Return the new measures of representations, as metrics ``<layer>/<measure>``.

    Args:
        client: Client of the store.
        child: Sync state of the run.
        record: Record of the trial.
        some_are_there: Whether the run may already have some of them; see `new_metrics`.

    Returns:
        The metric values, and `RunSyncState.analysed` after they were sent.
    """
    metrics, analysed = [], dict(child.analysed)
    for path in sorted(record.analysis.glob("*.jsonl")):
        layer = path.stem
        before = child.analysed.get(layer, 0)
        points, analysed[layer], uncertain = read_new_points(path, before, may_lack=some_are_there)
        named = [
            replace(p, metrics={f"{layer}/{name}": value for name, value in p.metrics.items()})
            for p in points
        ]
        uncertain = uncertain or layer not in child.analysed
        metrics += new_metrics(client, child.run, named, some_are_there=uncertain)
    return metrics, analysed


def read_new_points(path: Path, offset: int, *, may_lack: bool) -> tuple[list[Point], int, bool]:
    """Return the points of a journal after an offset.

    Args:
        path: Path of the journal.
        offset: Offset in bytes up to which points were sent.
        may_lack: Whether the run may lack earlier points or have later ones, for example after its
            database was restored from a backup.

    Returns:
        The points, the offset after them, and whether the run may already have some of them. In
        that case, these are all points of the journal.
    """
    points, after, continued = journal.read_after(path, offset)
    if not continued or (may_lack and points and offset):
        return *journal.read(path), True
    return points, after, may_lack


def set_status(client: MlflowClient, run: str, status: RunStatus, when: float) -> None:
    """Set a run's status and, unless it is running, its end time.

    Args:
        client: Client of the store.
        run: Id of the run.
        status: Status to set.
        when: End time in seconds since the epoch; ignored for a running run.
    """
    set_tags(client, run, {"factorlab.state": _STATES[status]})
    if status == "RUNNING":
        client.update_run(run, status)
    else:
        client.set_terminated(run, status, milliseconds(when))


def mark_running(client: MlflowClient, child: RunSyncState) -> None:
    """Mark the run of a trial that resumed training as running."""
    _forget_failure(client, child)
    set_status(client, child.run, "RUNNING", 0)
    child.status = "RUNNING"


def stop(client: MlflowClient, child: RunSyncState) -> None:
    """Mark the run of an interrupted trial as killed."""
    set_status(client, child.run, "KILLED", time.time())
    child.status = "KILLED"


def read_ending(path: Path, code: Mapping[str, str]) -> Ending | None:
    """Return how a trial ended, None if the file was removed meanwhile.

    Args:
        path: Result or failure file of the trial.
        code: Tags that describe the code that trained it.
    """
    written = path.stat().st_mtime_ns
    document = read_json(path)
    if document is None:
        return None
    status = _STATUS[path.name]
    if status == "FINISHED":
        tags, when = {"factorlab.device": document["device"]}, document["finished"]
    else:
        tags, when = {"factorlab.failure": document["reason"][:TAG_LENGTH]}, document["time"]
    return Ending(status, when, written, {"factorlab.state": _STATES[status], **code, **tags})


def end(client: MlflowClient, child: RunSyncState, ending: Ending) -> None:
    """Set the final status of a trial's run and, if the trial failed, its tags.

    Those of a finished trial are sent before, along with its points.
    """
    if ending.status == "FINISHED":
        _forget_failure(client, child)
    else:
        set_tags(client, child.run, ending.tags)
    client.set_terminated(child.run, ending.status, milliseconds(ending.when))
    child.status, child.outcome = ending.status, ending.written


def _forget_failure(client: MlflowClient, child: RunSyncState) -> None:
    """Remove the failure tag of an earlier attempt."""
    if child.status == "FAILED" and "factorlab.failure" in client.get_run(child.run).data.tags:
        client.delete_tag(child.run, "factorlab.failure")
