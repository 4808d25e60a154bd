"""Find, create and update the MLflow runs of a sweep's trials."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from factorlab.provenance import code_record
from factorlab.storage.record import Record
from sweeps.tracking import run_state
from sweeps.tracking.presentation import inputs, models
from sweeps.tracking.presentation.about import source_tags
from sweeps.tracking.run_logging import (
    RunSyncState,
    TrackedTrial,
    end,
    log_analysis,
    log_artifacts,
    log_parameters,
    log_points,
    mark_running,
    milliseconds,
    read_new_points,
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
        child = self.known.get(trial.key) or self._look_up(connection, found, trial, record)
        if child is None:
            return 0
        self.known[trial.key] = child
        return self._send(connection, found, child, record, phase)

    def _look_up(
        self, connection: Connection, found: StoredSweep, trial: TrackedTrial, record: Record
    ) -> RunSyncState | None:
        """Return the sync state of a trial's run, which is created if necessary.

        Returns None if the user deleted the run or the sweep.
        """
        client, runs = connection.client, found.children.get(trial.key, [])
        if runs:
            if trial.key in self._doubtful:
                runs[0] = client.get_run(runs[0].info.run_id)
            run = runs[0]
            self._uncertain.add(trial.key)
        elif trial.key in found.deleted or found.parent is None:
            return None
        else:
            run = self._create(connection, found, trial, record)
            found.children[trial.key] = [run]
        self._doubtful.discard(trial.key)
        self._hang(client, found, run)
        store = connection.store
        child = run_state.load(record, self._sweep, store=store, run=run.info.run_id)
        if child is None or child.status != run.info.status:
            child = RunSyncState(run.info.run_id, status=run.info.status)
            known = client.get_run(child.run).data.params if runs else {}
            log_parameters(client, child.run, trial.parameters, known)
            inputs.log_training_set(client, child.run, record)
            self._save(connection, found, record, child)
        elif connection.owner.database is not None:
            run_state.forget_missing_files(child, record, run.info.artifact_uri)
        return child

    def _create(
        self, connection: Connection, found: StoredSweep, trial: TrackedTrial, record: Record
    ) -> Run:
        assert found.parent is not None
        points, _ = record.points()
        start = points[0].time if points else (record.path / "config.json").stat().st_mtime
        tags = {
            "factorlab.key": trial.key,
            "factorlab.role": "trial",
            "factorlab.state": "running",
            "mlflow.parentRunId": found.parent.info.run_id,
            TAG: connection.owner.folders[0],
        }
        code = code_record.tags(record.code()) or self.code
        return connection.client.create_run(
            found.parent.info.experiment_id,
            start_time=milliseconds(start),
            tags={**self._tags, **source_tags(self._command, code), **code, **tags},
            run_name=trial.name,
        )

    def _hang(self, client: MlflowClient, found: StoredSweep, run: Run) -> None:
        """Attach a run to the current parent if its former parent was deleted and purged."""
        parent = found.parent.info.run_id if found.parent is not None else None
        if parent is not None and run.data.tags.get("mlflow.parentRunId") != parent:
            client.set_tag(run.info.run_id, "mlflow.parentRunId", parent)

    def _save(
        self, connection: Connection, found: StoredSweep, record: Record, child: RunSyncState
    ) -> None:
        parent = found.parent.info.run_id if found.parent is not None else ""
        run_state.save(record, self._sweep, store=connection.store, parent=parent, child=child)

    def _send(
        self,
        connection: Connection,
        found: StoredSweep,
        child: RunSyncState,
        record: Record,
        phase: SweepPhase,
    ) -> int:
        """Bring one run up to date with its record, and return the number of metric points sent."""
        client = connection.client
        # Before reading the journal: if this file exists, the journal is complete.
        ending = terminal_file(record)
        before = asdict(child)
        uncertain = record.key in self._uncertain
        points, offset, some_are_there = read_new_points(
            record.journal, child.offset, may_lack=uncertain
        )
        sent = log_points(client, child.run, points, some_are_there=some_are_there)
        child.offset = offset
        sent += log_analysis(client, child, record, some_are_there=uncertain)
        if asdict(child) != before:
            self._uncertain.discard(record.key)
            self._save(connection, found, record, child)
        before = asdict(child)
        if found.lost_artifacts is None:
            (run, *_) = found.children[record.key]
            log_artifacts(client, run.info.artifact_uri, child, record, ending)
        if ending is not None:
            self._log_model(client, found, child, record, ending, uncertain=uncertain)
            end(client, child, ending, code_record.tags(record.code()))
        else:
            if phase == "live":
                trains = record.stopped() is None and (bool(points) or child.status == "RUNNING")
            else:
                trains = phase == "unknown" and record.state() == "running"
            if trains != (child.status == "RUNNING"):
                mark_running(client, child) if trains else stop(client, child)
        if asdict(child) != before:
            self._save(connection, found, record, child)
        if child.status == "FINISHED":
            self.complete.add(record.key)
        return sent

    def _log_model(
        self,
        client: MlflowClient,
        found: StoredSweep,
        child: RunSyncState,
        record: Record,
        ending: Path,
        *,
        uncertain: bool,
    ) -> None:
        """Log the final network of a finished trial, or write its files again if they are gone.

        Trials that finished under an earlier version keep their runs as they are.
        """
        if ending.name != "result.json" or found.lost_artifacts is not None:
            return
        (run, *_) = found.children[record.key]
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
                self._settle(connection.client, run, ending=None)

    def settle_doubles(self, connection: Connection, found: StoredSweep) -> None:
        """Mark duplicate runs of trials, which earlier versions may have left, as ended."""
        for run in found.doubles:
            key = run.data.tags.get("factorlab.key")
            if key is not None:
                self._settle(connection.client, run, terminal_file(Record(self._runs, key)))

    def _settle(self, client: MlflowClient, run: Run, ending: Path | None) -> None:
        """Mark a run that no process trains as ended if its status is RUNNING."""
        if run.info.status != "RUNNING" or run.info.run_id in self._settled:
            return
        child = RunSyncState(run.info.run_id)
        if ending is not None:
            end(client, child, ending, {})
        else:
            stop(client, child)
        self._settled.add(run.info.run_id)
