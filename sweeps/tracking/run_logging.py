"""Log parameters, metrics, artifacts and the status of one MLflow run.

All functions can be called repeatedly. What the run already has is not sent again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from factorlab.storage import journal
from factorlab.storage.files import read_json
from factorlab.storage.journal import Point
from factorlab.storage.record import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

Item = TypeVar("Item")

METRICS_AT_ONCE = 1000
PARAMETERS_AT_ONCE = 100
PARAMETER_LENGTH = 6000
TAG_LENGTH = 5000
"""Limits of MLflow: items per call, and characters of a parameter and of a tag."""

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


def milliseconds(seconds: float) -> int:
    """Convert a time in seconds to MLflow's integer milliseconds."""
    return int(seconds * 1000)


def _chunks(items: Sequence[Item], length: int) -> Iterator[Sequence[Item]]:
    return (items[i : i + length] for i in range(0, len(items), length))


def log_points(
    client: MlflowClient, run: str, points: Sequence[Point], *, some_are_there: bool
) -> int:
    """Send points with the times of the journal, and return the number of metric values sent.

    Args:
        client: Client of the store.
        run: Id of the run.
        points: Points of a journal.
        some_are_there: Whether the run may already have some of the points. If so, its points are
            queried and skipped, because not every store recognises repeated points.
    """
    from mlflow.entities import Metric  # noqa: PLC0415 - seconds

    metrics = [
        Metric(name, value, milliseconds(point.time), point.step)
        for point in points
        for name, value in point.metrics.items()
    ]
    if some_are_there:
        there = {
            (name, metric.step)
            for name in {metric.key for metric in metrics}
            for metric in client.get_metric_history(run, name)
        }
        metrics = [metric for metric in metrics if (metric.key, metric.step) not in there]
    for chunk in _chunks(metrics, METRICS_AT_ONCE):
        client.log_batch(run, metrics=chunk)
    return len(metrics)


def terminal_file(record: Record) -> Path | None:
    """Return the result or failure file of a trial, or None if the trial has not ended."""
    for name in _STATUS:
        if (record.path / name).exists():
            return record.path / name
    return None


def status_of(record: Record) -> RunStatus | None:
    """Return the run status for a trial that has ended, or None if it has not."""
    ending = terminal_file(record)
    return None if ending is None else _STATUS[ending.name]


def set_tags(client: MlflowClient, run: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run, at most 100."""
    from mlflow.entities import RunTag  # noqa: PLC0415 - seconds

    client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items()])


def log_parameters(
    client: MlflowClient, run: str, parameters: Mapping[str, str], known: Mapping[str, str]
) -> None:
    """Log the missing parameters of a run. MLflow does not allow changing existing ones.

    Args:
        client: Client of the store.
        run: Id of the run.
        parameters: All parameters of the run.
        known: Parameters that the run already has.
    """
    from mlflow.entities import Param  # noqa: PLC0415 - seconds

    missing = [
        Param(name, value[:PARAMETER_LENGTH])
        for name, value in parameters.items()
        if name not in known
    ]
    for chunk in _chunks(missing, PARAMETERS_AT_ONCE):
        client.log_batch(run, params=chunk)


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


def log_analysis(
    client: MlflowClient, child: RunSyncState, record: Record, *, some_are_there: bool
) -> int:
    """Send the measures of representations as metrics ``<layer>/<measure>``.

    Args:
        client: Client of the store.
        child: Sync state of the run.
        record: Record of the trial.
        some_are_there: Whether the run may already have some of them; see `log_points`.

    Returns:
        The number of metric values sent.
    """
    sent = 0
    for path in sorted(record.analysis.glob("*.jsonl")):
        layer = path.stem
        before = child.analysed.get(layer, 0)
        points, offset, uncertain = read_new_points(path, before, may_lack=some_are_there)
        named = [
            replace(p, metrics={f"{layer}/{name}": value for name, value in p.metrics.items()})
            for p in points
        ]
        uncertain = uncertain or layer not in child.analysed
        sent += log_points(client, child.run, named, some_are_there=uncertain)
        child.analysed[layer] = offset
    return sent


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


def set_status(
    client: MlflowClient,
    run: str,
    status: RunStatus,
    when: float,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Set a run's status and tags and, unless it is running, its end time.

    Args:
        client: Client of the store.
        run: Id of the run.
        status: Status to set.
        when: End time in seconds since the epoch; ignored for a running run.
        tags: Additional tags.
    """
    set_tags(client, run, {"factorlab.state": _STATES[status], **(tags or {})})
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


def end(client: MlflowClient, child: RunSyncState, ending: Path, code: Mapping[str, str]) -> None:
    """Set the final status of a trial's run, unless it is already set.

    Args:
        client: Client of the store.
        child: Sync state of the run.
        ending: Result or failure file of the trial.
        code: Tags that describe the code that trained it.
    """
    changed = ending.stat().st_mtime_ns
    status = _STATUS[ending.name]
    if (child.status, child.outcome) == (status, changed):
        return
    document = read_json(ending)
    if document is None:
        return
    if status == "FINISHED":
        _forget_failure(client, child)
        tags, when = {"factorlab.device": document["device"]}, document["finished"]
    else:
        tags, when = {"factorlab.failure": document["reason"][:TAG_LENGTH]}, document["time"]
    set_status(client, child.run, status, when, {**code, **tags})
    child.status, child.outcome = status, changed


def _forget_failure(client: MlflowClient, child: RunSyncState) -> None:
    """Remove the failure tag of an earlier attempt."""
    if child.status == "FAILED" and "factorlab.failure" in client.get_run(child.run).data.tags:
        client.delete_tag(child.run, "factorlab.failure")
