"""One pass from the records of a sweep's trials to their runs in an MLflow store.

A pass may be cut off anywhere and repeated: runs are found again by their tags, and points are
sent with the times of the journal, so that nothing is there twice. What MLflow raises comes out
of here as it is.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from factorlab import provenance
from factorlab.files import DamagedFile, read_json, write_json
from factorlab.record import Record
from sweeps.mlflow_run import (
    Child,
    TrackedTrial,
    end,
    ending_of,
    go_on,
    log_analysis,
    log_artifacts,
    log_parameters,
    log_points,
    milliseconds,
    news,
    set_status,
    set_tags,
    stop,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Moment = Literal["live", "stopped", "unknown"]
"""Whether the sweep goes on, was stopped by who calls, or only the records can tell."""

_ONE_RUN = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST"}
"""Error codes that a store answers with when it is well and only a run is not."""


class SweepRuns:
    """The parent run of a sweep and the child runs of its trials."""

    def __init__(
        self,
        *,
        runs: Path,
        sweep: str,
        experiment: str,
        profile: str,
        trials: Sequence[TrackedTrial],
        store: str,
        artifacts: str | None,
        connect: Callable[[], MlflowClient],
    ) -> None:
        self._runs, self._sweep, self._experiment = runs, sweep, experiment
        self._trials = trials
        self._store, self._artifacts, self._connect = store, artifacts, connect
        self._common = {
            "factorlab.sweep": sweep,
            "factorlab.experiment": experiment,
            "factorlab.profile": profile,
        }
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._parent: Run | None = None
        self._parent_id, self._parent_status, self._parent_is_new = "", "", False
        self._code: dict[str, str] | None = None  # tags of the revision, once the parent has them
        self._children: dict[str, Child] = {}
        self._uncertain: set[str] = set()  # the run may have points beyond its offset
        self._doubtful: set[str] = set()  # the last attempt raised: look the run up again
        self._complete: set[str] = set()

    def send(self, moment: Moment, out_of_time: Callable[[], bool] = lambda: False) -> int:
        """Bring all runs up to date; returns how many metric points were sent.

        Args:
            moment: what to make of trials that are not over.
            out_of_time: asked before every trial; the pass raises once it says so.

        Raises:
            TimeoutError: it was out of time.
            Exception: what MLflow or a record raised. If it concerns one trial only, the others
                were served first.
        """
        try:
            return self._send(moment, out_of_time)
        except Exception:
            self._parent = None  # to be looked up again: it may be the cause
            raise

    def _send(self, moment: Moment, out_of_time: Callable[[], bool]) -> int:
        client, parent = self._open(moment)
        sent, trains, problem = 0, False, None
        for trial in self._trials:
            if trial.key in self._complete:
                continue
            if out_of_time():
                raise TimeoutError("not everything could be sent in time")
            record = Record(self._runs, trial.key)
            if not (record.path / "config.json").exists():
                continue
            try:
                child = self._child(client, parent, trial, record)
                sent += self._send_trial(client, parent, child, record, moment)
                trains = trains or child.status == "RUNNING"
            except Exception as error:
                self._children.pop(trial.key, None)
                self._doubtful.add(trial.key)
                if not _concerns_one_run(error):
                    raise
                problem = problem or error
        self._update_parent(client, parent, moment, trains=trains)
        if problem is not None:
            raise problem
        return sent

    def look_again(self) -> None:
        """Take no trial for complete at the next pass."""
        self._complete.clear()

    def log_figures(self, files: Sequence[Path]) -> None:
        """Put files under `figures` of the parent run."""
        client, parent = self._open("unknown")
        for path in files:
            client.log_artifact(parent.info.run_id, str(path), "figures")

    # The parent run

    def _open(self, moment: Moment) -> tuple[MlflowClient, Run]:
        """Connect, and find or create the experiment and the parent run."""
        if self._client is None:
            self._client = self._connect()
        client = self._client
        if self._parent is None:
            experiment = client.get_experiment_by_name(self._experiment)
            if experiment is not None:
                self._experiment_id = experiment.experiment_id
            else:
                self._experiment_id = client.create_experiment(self._experiment, self._artifacts)
            tags = {"factorlab.sweep": self._sweep, "factorlab.role": "sweep"}
            found = self._find(client, tags)
            self._parent_is_new = found is None
            if found is None:
                tags = {**self._common, **tags}
                found = client.create_run(self._experiment_id, tags=tags, run_name=self._sweep)
            if found.info.run_id != self._parent_id:
                self._children, self._complete, self._code = {}, set(), None
            self._parent, self._parent_id = found, found.info.run_id
            self._parent_status = found.info.status
        if self._code is None:
            self._code = self._describe(client, self._parent, moment)
        return client, self._parent

    def _find(self, client: MlflowClient, tags: Mapping[str, str]) -> Run | None:
        """Return the oldest run of the experiment that has these tags."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        oldest = ["attributes.start_time ASC"]
        runs = client.search_runs([self._experiment_id], wanted, max_results=1, order_by=oldest)
        return runs[0] if runs else None

    def _describe(self, client: MlflowClient, parent: Run, moment: Moment) -> dict[str, str]:
        """Return the tags of the code that trains; give them and its diff to the parent.

        Where nothing is left to train, what the parent says already is true.
        """
        before = {k: v for k, v in parent.data.tags.items() if k in provenance.TAGS}
        results = (Record(self._runs, t.key).path / "result.json" for t in self._trials)
        if before and (moment != "live" or all(path.exists() for path in results)):
            return before
        code = provenance.revision()
        tags = code.tags()
        for name in before.keys() - tags.keys():
            client.delete_tag(parent.info.run_id, name)
        if code.diff:
            with tempfile.TemporaryDirectory(prefix="factorlab-") as folder:
                path = Path(folder) / "dirty.diff"
                path.write_bytes(code.diff)
                client.log_artifact(parent.info.run_id, str(path))
        set_tags(client, parent.info.run_id, tags)
        return tags

    def _update_parent(
        self, client: MlflowClient, parent: Run, moment: Moment, *, trains: bool
    ) -> None:
        """Give the parent the status that its trials add up to."""
        over = [child.status for child in self._children.values()]
        done, failed = over.count("FINISHED"), over.count("FAILED")
        if done == len(self._trials):
            status = "FINISHED"
        elif moment == "live" or (moment == "unknown" and trains):
            status = "RUNNING"
        else:
            status = "FAILED" if done + failed == len(self._trials) else "KILLED"
        if status != self._parent_status:
            set_status(client, parent.info.run_id, status, time.time())
            self._parent_status = status

    # The child runs

    def _child(
        self, client: MlflowClient, parent: Run, trial: TrackedTrial, record: Record
    ) -> Child:
        """Return the run of a trial: as it is remembered, as it is found, or a new one."""
        if trial.key in self._children:
            return self._children[trial.key]
        child = self._remembered(parent, record)
        if child is None or trial.key in self._doubtful:
            tags = {"factorlab.key": trial.key, "mlflow.parentRunId": parent.info.run_id}
            may_exist = not self._parent_is_new or trial.key in self._doubtful
            run = self._find(client, tags) if may_exist else None
            if run is not None:
                self._uncertain.add(trial.key)
            else:
                points, _ = record.points()
                config = record.path / "config.json"
                start = points[0].time if points else config.stat().st_mtime
                role = {"factorlab.role": "trial", "factorlab.state": "running"}
                run = client.create_run(
                    self._experiment_id,
                    start_time=milliseconds(start),
                    tags={**self._common, **(self._code or {}), **tags, **role},
                    run_name=trial.name,
                )
            if child is None or child.run != run.info.run_id:
                child = Child(run.info.run_id)
            child.status = run.info.status
            log_parameters(client, run, trial.parameters)
            self._save(parent, record, child)
        else:
            self._uncertain.add(trial.key)
        self._doubtful.discard(trial.key)
        self._children[trial.key] = child
        return child

    def _state_file(self, record: Record) -> Path:
        return record.path / "mlflow" / f"{quote(self._sweep, safe='')}.json"

    def _remembered(self, parent: Run, record: Record) -> Child | None:
        """Return what the record says of the run in this store and under this parent."""
        try:
            saved = read_json(self._state_file(record)) or {}
            here = (saved["store"], saved["parent"]) == (self._store, parent.info.run_id)
            return Child(**saved["child"]) if here else None
        except (DamagedFile, KeyError, TypeError):  # not there, torn, or of another version
            return None

    def _save(self, parent: Run, record: Record, child: Child) -> None:
        path = self._state_file(record)
        path.parent.mkdir(exist_ok=True)
        document = {"store": self._store, "parent": parent.info.run_id, "child": asdict(child)}
        write_json(path, document)

    def _send_trial(
        self, client: MlflowClient, parent: Run, child: Child, record: Record, moment: Moment
    ) -> int:
        """Bring one run up to date; returns how many metric points were sent."""
        ending = ending_of(record)  # before the journal is read, which is then all there will be
        before = asdict(child)
        there = record.key in self._uncertain
        points, offset, another = news(record.journal, child.offset)
        sent = log_points(client, child.run, points, some_are_there=there or another)
        child.offset = offset
        sent += log_analysis(client, child, record, some_are_there=there)
        if asdict(child) != before:
            self._uncertain.discard(record.key)
            self._save(parent, record, child)
        before = asdict(child)
        log_artifacts(client, child, record, ending)
        if ending is not None:
            end(client, child, ending)
        else:
            if moment == "live":
                trains = bool(points) or child.status == "RUNNING"
            else:
                trains = moment == "unknown" and record.state() == "running"
            if trains != (child.status == "RUNNING"):
                go_on(client, child) if trains else stop(client, child)
        if asdict(child) != before:
            self._save(parent, record, child)
        if child.status == "FINISHED":
            self._complete.add(record.key)
        return sent


def _concerns_one_run(error: Exception) -> bool:
    """Return whether the other trials can still be served after this error."""
    if isinstance(error, DamagedFile | FileNotFoundError | PermissionError):
        return True
    return getattr(error, "error_code", None) in _ONE_RUN
