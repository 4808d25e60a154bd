"""Find, create and update the MLflow runs of a sweep's trials."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from factorlab.provenance import code_record
from factorlab.storage.record import Record
from sweeps.tracking import run_state
from sweeps.tracking.batch import Batch
from sweeps.tracking.presentation import inputs, models
from sweeps.tracking.presentation.about import source_tags
from sweeps.tracking.run_logging import (
    Ending,
    RunSyncState,
    TrackedTrial,
    end,
    is_new,
    log_artifacts,
    mark_running,
    milliseconds,
    new_measures,
    new_metrics,
    read_ending,
    read_new_points,
    set_tags,
    stop,
    terminal_file,
)
from sweeps.tracking.store.identity import TAG
from sweeps.tracking.stored_runs import Owner, StoredSweep

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SweepPhase = Literal["live", "stopped", "unknown"]
"""State of the sweep during a pass: still running, stopped by the caller, or known only from the
records."""


@dataclass(frozen=True)
class Connection:
    """Connection to an open store."""

    client: MlflowClient
    owner: Owner
    store: str
    """Name of the store in saved sync states."""

    artifacts: str | None
    """Artifact location of new experiments, as a URI; None to let the store decide."""


@dataclass
class _Visit:
    """What one pass knows of a trial."""

    connection: Connection
    found: StoredSweep
    phase: SweepPhase
    trial: TrackedTrial
    record: Record

    file: Path | None = None
    """Result or failure file."""

    ending: Ending | None = None
    """How the trial ended, if its run does not show it yet."""

    batch: Batch = field(default_factory=Batch)
    """What the run is sent."""


class ChildRuns:
    """MLflow runs of a sweep's trials.

    Args:
        runs: Folder of all records.
        sweep: Identifier of the sweep.
        tags: Tags of every run of the sweep.
        command: The command that repeats the sweep.
    """

    def __init__(self, runs: Path, sweep: str, tags: dict[str, str], command: str = "") -> None:
        self.known: dict[str, RunSyncState] = {}
        """Sync states of trials with a record and an active run, by key."""

        self.complete: set[str] = set()
        """Keys of trials whose runs need no further updates."""

        self.code: dict[str, str] = {}
        """Tags that describe the code that trains."""

        self._runs, self._sweep, self._tags, self._command = runs, sweep, tags, command
        self._saved: dict[str, dict[str, Any]] = {}  # sync states in the records, by key
        self._uncertain: set[str] = set()  # keys; the run's points may differ from its sync state
        self._doubtful: set[str] = set()  # keys; the run must be loaded again
        self._settled: set[str] = set()  # ids of runs that were marked as ended

    def keep(self, found: StoredSweep) -> None:
        """Forget all runs that the store no longer contains."""
        there = {run.info.run_id for runs in found.children.values() for run in runs}
        for key in [key for key, child in self.known.items() if child.run not in there]:
            self.forget(key)

    def forget(self, key: str) -> None:
        """Forget a trial's run, so that the next pass looks it up again."""
        self.known.pop(key, None)
        self._saved.pop(key, None)
        self.complete.discard(key)
        self._doubtful.add(key)

    def bring(
        self, connection: Connection, found: StoredSweep, trial: TrackedTrial, phase: SweepPhase
    ) -> int:
        """Bring the run of one trial up to date, and return the number of metric points sent.

        A missing run is created, unless the user deleted it or the sweep. Nothing is sent for a
        trial without a record.
        """
        record = Record(self._runs, trial.key)
        if not (record.path / "config.json").exists():
            self._settle_without_record(connection, found, trial.key, phase)
            return 0
        child = self.known.get(trial.key)
        # Before reading the journal: if this file exists, the journal is complete.
        visit = _Visit(connection, found, phase, trial, record, terminal_file(record))
        if visit.file is not None and (child is None or is_new(child, visit.file)):
            visit.ending = read_ending(visit.file, code_record.tags(record.code()))
        if child is None:
            child = self._look_up(visit)
            if child is None:
                return 0
            self.known[trial.key] = child
        try:
            return self._send(visit, child)
        finally:
            self._save(visit, child)

    def _look_up(self, visit: _Visit) -> RunSyncState | None:
        """Return the sync state of a trial's run, which is created if necessary.

        Returns None if the user deleted the run or the sweep.
        """
        client, found, key = visit.connection.client, visit.found, visit.record.key
        runs = found.children.get(key, [])
        if runs:
            if key in self._doubtful:
                runs[0] = client.get_run(runs[0].info.run_id)
            run = runs[0]
            self._uncertain.add(key)
        elif key in found.deleted or found.parent is None:
            return None
        else:
            run = self._create(visit, found.parent)
            found.children[key] = [run]
            visit.batch.there = run.data.tags
        self._doubtful.discard(key)
        self._hang(client, found, run)
        child = run_state.load(
            visit.record, self._sweep, store=visit.connection.store, run=run.info.run_id
        )
        if child is None or child.status != run.info.status:
            child = RunSyncState(run.info.run_id, status=run.info.status)
            known = client.get_run(child.run).data.params if runs else {}
            missing = visit.trial.parameters.items()
            visit.batch.parameters = {name: value for name, value in missing if name not in known}
            inputs.log_training_set(client, child.run, visit.record)
            return child
        self._saved[key] = asdict(child)
        if visit.connection.owner.database is not None:
            run_state.forget_missing_files(child, visit.record, run.info.artifact_uri)
        return child

    def _create(self, visit: _Visit, parent: Run) -> Run:
        """Create the run of a trial under that of the sweep."""
        record, connection = visit.record, visit.connection
        points, _ = record.points()
        start = points[0].time if points else (record.path / "config.json").stat().st_mtime
        tags = {
            "factorlab.key": record.key,
            "factorlab.role": "trial",
            "factorlab.state": "running",
            "mlflow.parentRunId": parent.info.run_id,
            TAG: connection.owner.folders[0],
            **(visit.ending.tags if visit.ending is not None else {}),
        }
        code = code_record.tags(record.code()) or self.code
        return connection.client.create_run(
            parent.info.experiment_id,
            start_time=milliseconds(start),
            tags={**self._tags, **source_tags(self._command, code), **code, **tags},
            run_name=visit.trial.name,
        )

    def _hang(self, client: MlflowClient, found: StoredSweep, run: Run) -> None:
        """Attach a run to the current parent if its former parent was deleted and purged."""
        parent = found.parent.info.run_id if found.parent is not None else None
        if parent is not None and run.data.tags.get("mlflow.parentRunId") != parent:
            client.set_tag(run.info.run_id, "mlflow.parentRunId", parent)

    def _save(self, visit: _Visit, child: RunSyncState) -> None:
        """Save the sync state of a run if the record has another one."""
        state, record = asdict(child), visit.record
        if state == self._saved.get(record.key):
            return
        parent = visit.found.parent.info.run_id if visit.found.parent is not None else ""
        store = visit.connection.store
        run_state.save(record, self._sweep, store=store, parent=parent, child=child)
        self._saved[record.key] = state

    def _send(self, visit: _Visit, child: RunSyncState) -> int:
        """Bring one run up to date with its record, and return the number of metric points sent."""
        client, record = visit.connection.client, visit.record
        before = child.offset, child.analysed
        sent, trained = self._send_batch(visit, child)
        if visit.found.lost_artifacts is None:
            (run, *_) = visit.found.children[record.key]
            log_artifacts(client, run.info.artifact_uri, child, record, visit.file)
            self._log_model(visit, child, run)
        if visit.ending is not None:
            end(client, child, visit.ending)
        elif visit.file is None:
            if visit.phase == "live":
                trains = record.stopped() is None and (trained or child.status == "RUNNING")
            else:
                trains = visit.phase == "unknown" and record.state() == "running"
            if trains != (child.status == "RUNNING"):
                mark_running(client, child) if trains else stop(client, child)
        if child.status == "FINISHED":
            self.complete.add(record.key)
        if (child.offset, child.analysed) != before:
            self._uncertain.discard(record.key)
        return sent

    def _send_batch(self, visit: _Visit, child: RunSyncState) -> tuple[int, bool]:
        """Send what the run lacks.

        Returns:
            The number of metric points sent, and whether the journal has new ones.
        """
        client, record, batch = visit.connection.client, visit.record, visit.batch
        uncertain = record.key in self._uncertain
        points, offset, some_are_there = read_new_points(
            record.journal, child.offset, may_lack=uncertain
        )
        metrics = new_metrics(client, child.run, points, some_are_there=some_are_there)
        measures, analysed = new_measures(client, child, record, some_are_there=uncertain)
        batch.metrics = metrics + measures
        if visit.ending is not None:
            batch.tags = visit.ending.tags
        batch.send(client, child.run)
        child.offset, child.analysed = offset, analysed
        return len(batch.metrics), bool(points)

    def _log_model(self, visit: _Visit, child: RunSyncState, run: Run) -> None:
        """Log the final network of a finished trial, or write its files again if they are gone.

        Trials that finished under an earlier version keep their runs as they are.
        """
        client, record = visit.connection.client, visit.record
        if visit.file is None or visit.file.name != "result.json":
            return
        uncertain = record.key in self._uncertain
        if child.model is None and child.status != "FINISHED":
            child.model = models.log_model(client, run, record, may_be_there=uncertain)
            return
        if child.model is None and uncertain and record.weights.exists():
            child.model = models.id_of(client, run)
        if child.model is not None:
            models.restore_files(client, run, record, child.model)

    def _settle_without_record(
        self, connection: Connection, found: StoredSweep, key: str, phase: SweepPhase
    ) -> None:
        """Mark the runs of a trial as stopped if its record was deleted."""
        self.known.pop(key, None)
        if phase != "live":
            for run in found.children.get(key, []):
                self._settle(connection.client, run, file=None)

    def settle_doubles(self, connection: Connection, found: StoredSweep) -> None:
        """Mark duplicate runs of trials, which earlier versions may have left, as ended."""
        for run in found.doubles:
            key = run.data.tags.get("factorlab.key")
            if key is not None:
                self._settle(connection.client, run, terminal_file(Record(self._runs, key)))

    def _settle(self, client: MlflowClient, run: Run, file: Path | None) -> None:
        """Mark a run that no process trains as ended if its status is RUNNING."""
        if run.info.status != "RUNNING" or run.info.run_id in self._settled:
            return
        child = RunSyncState(run.info.run_id)
        ending = None if file is None else read_ending(file, {})
        if ending is None:
            stop(client, child)
        else:
            set_tags(client, child.run, ending.tags)
            end(client, child, ending)
        self._settled.add(run.info.run_id)
