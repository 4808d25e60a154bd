"""What is told to one MLflow run: parameters, points, files and how it ended.

Every call may be repeated: what the run has already stays as it is.
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
"""MLflow's limits: items of one call, and characters of a parameter and a tag."""

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
    """A trial as MLflow is to show it."""

    key: str
    """Names its record, ``runs/trials/<key>``."""

    name: str
    """Short name for people, e.g. "bump N=8 lambda=0.02 seed=0"."""

    parameters: dict[str, str]
    """Settings by dotted key: "data.size" -> "8"."""


@dataclass
class RunSyncState:
    """What a trial's run has; kept in the trial's record."""

    run: str
    status: RunStatus = "RUNNING"
    offset: int = 0
    """Bytes of the journal that were accepted."""
    outcome: int = 0
    """Time of change (ns) of the file that ended the trial."""
    files: dict[str, int] = field(default_factory=dict)
    """Time of change (ns) of each file that was uploaded."""
    analysed: dict[str, int] = field(default_factory=dict)
    """Bytes of each layer's measures that were accepted."""


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow wants it."""
    return int(seconds * 1000)


def _chunks(items: Sequence[Item], length: int) -> Iterator[Sequence[Item]]:
    return (items[i : i + length] for i in range(0, len(items), length))


def log_points(
    client: MlflowClient, run: str, points: Sequence[Point], *, some_are_there: bool
) -> int:
    """Send points with their own times; returns how many metric values were sent.

    Args:
        client: of the store.
        run: id of the run.
        points: lines of a journal.
        some_are_there: the run may have some of the points; it is asked and these are left out,
            since not every store tells a repeated point from a new one.
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
    """Return the file that says how the trial ended, None while it has not."""
    for name in _STATUS:
        if (record.path / name).exists():
            return record.path / name
    return None


def status_of(record: Record) -> RunStatus | None:
    """Return the status that a trial's end gives its run, None while it has not ended."""
    ending = terminal_file(record)
    return None if ending is None else _STATUS[ending.name]


def set_tags(client: MlflowClient, run: str, tags: Mapping[str, str]) -> None:
    """Set at most 100 tags."""
    from mlflow.entities import RunTag  # noqa: PLC0415 - seconds

    client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items()])


def log_parameters(
    client: MlflowClient, run: str, parameters: Mapping[str, str], known: Mapping[str, str]
) -> None:
    """Give a run the parameters that it has not; MLflow lets none be changed.

    Args:
        client: of the store.
        run: id of the run.
        parameters: that it is to have.
        known: that it has.
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
    client: MlflowClient, child: RunSyncState, record: Record, ending: Path | None
) -> None:
    """Upload the files of a record that the run has not, or has as they were before."""
    pictures = [*record.samples.glob("*.png"), *record.analysis.glob("*/*.png")]
    files = [record.path / "config.json", *sorted(pictures)]
    if ending is not None and ending.name == "result.json":
        files.append(ending)
    for path in files:
        name, changed = path.relative_to(record.path), path.stat().st_mtime_ns
        if child.files.get(str(name)) != changed:
            folder = str(name.parent) if name.parent.name else None
            client.log_artifact(child.run, str(path), folder)
            child.files[str(name)] = changed


def log_analysis(
    client: MlflowClient, child: RunSyncState, record: Record, *, some_are_there: bool
) -> int:
    """Send the measures of representations, as ``<layer>/<measure>``; returns how many.

    Args:
        client: of the store.
        child: the run.
        record: of the trial.
        some_are_there: the run may have some of them, as `log_points` has it.
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
    """Return what a journal has beyond an offset.

    Args:
        path: of the journal.
        offset: up to which the run has its points.
        may_lack: the run may lack earlier points, or have later ones, as after its database was
            restored from a backup.

    Returns:
        The points, the offset after them, and whether the run may have some of them: then these
        are all points of the journal.
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
    """Set a run's status, and its end unless it runs, together with other tags."""
    set_tags(client, run, {"factorlab.state": _STATES[status], **(tags or {})})
    if status == "RUNNING":
        client.update_run(run, status)
    else:
        client.set_terminated(run, status, milliseconds(when))


def mark_running(client: MlflowClient, child: RunSyncState) -> None:
    """Show that a trial that was over trains again."""
    _forget_failure(client, child)
    set_status(client, child.run, "RUNNING", 0)
    child.status = "RUNNING"


def stop(client: MlflowClient, child: RunSyncState) -> None:
    """Show that a trial was interrupted."""
    set_status(client, child.run, "KILLED", time.time())
    child.status = "KILLED"


def end(client: MlflowClient, child: RunSyncState, ending: Path, code: Mapping[str, str]) -> None:
    """Show how a trial ended, unless the run shows it already.

    Args:
        client: of the store.
        child: the run.
        ending: the file that says how.
        code: tags of the code that trained it.
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
    """Remove what an earlier attempt that failed has left."""
    if child.status == "FAILED" and "factorlab.failure" in client.get_run(child.run).data.tags:
        client.delete_tag(child.run, "factorlab.failure")
