"""Find, create and update the MLflow runs of a sweep's trials."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from factorlab.provenance import code_record
from factorlab.storage.record import Record
from sweeps.tracking import run_state
from sweeps.tracking.presentation import inputs, models
from sweeps.tracking.presentation.about import source_tags
from sweeps.tracking.run_logging import (
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
from sweeps.tracking.stored_runs import Connection, StoredSweep
from sweeps.tracking.visit import SweepPhase, Visit

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


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
        # Before reading the journal: if this file exists, the journal is complete.
        visit = Visit(connection, found, phase, trial, record, terminal_file(record))
        if (child := self.known.get(trial.key)) is not None:
            visit.saved = asdict(child)
        elif (child := self._look_up(visit)) is None:
            return 0
        self.known[trial.key] = child
        if visit.file is not None and is_new(child, visit.file):
            visit.read_ending()
        before = child.offset, child.analysed
        sent, trained = self._send_batch(visit, child)
        try:
            self._complete(visit, child, trained=trained)
        except Exception:
            with suppress(OSError):  # the error itself matters more
                self._save(visit, child)
            raise
        self._save(visit, child)
        if (child.offset, child.analysed) != before:
            self._uncertain.discard(record.key)
        return sent

    def _look_up(self, visit: Visit) -> RunSyncState | None:
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
        visit.saved = asdict(child)
        if visit.connection.owner.database is not None:
            run_state.forget_missing_files(child, visit.record, run.info.artifact_uri)
        return child

    def _create(self, visit: Visit, parent: Run) -> Run:
        """Create the run of a trial under that of the sweep."""
        record, connection = visit.record, visit.connection
        visit.read_ending()
        points, _ = record.points()
        start = points[0].time if points else (record.path / "config.json").stat().st_mtime
        tags = {
            "factorlab.key": record.key,
            "factorlab.role": "trial",
            "factorlab.state": "running",
            "mlflow.parentRunId": parent.info.run_id,
            TAG: connection.owner.folders[0],
            **visit.early_tags,
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

    def _save(self, visit: Visit, child: RunSyncState) -> None:
        """Save the sync state of a run if the record has another one."""
        if asdict(child) == visit.saved:
            return
        parent = visit.found.parent.info.run_id if visit.found.parent is not None else ""
        store = visit.connection.store
        run_state.save(visit.record, self._sweep, store=store, parent=parent, child=child)

    def _send_batch(self, visit: Visit, child: RunSyncState) -> tuple[int, bool]:
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
        batch.tags = visit.early_tags
        batch.send(client, child.run)
        child.offset, child.analysed = offset, analysed
        return len(batch.metrics), bool(points)

    def _complete(self, visit: Visit, child: RunSyncState, *, trained: bool) -> None:
        """Upload the files of a trial and set the status of its run, after its points were sent.

        Args:
            visit: What this pass knows of the trial.
            child: Sync state of the run, which is updated.
            trained: Whether the journal had new points.

        Raises:
            DamagedFile: The result or failure file is damaged.
        """
        client, record = visit.connection.client, visit.record
        if visit.found.lost_artifacts is None:
            (run, *_) = visit.found.children[record.key]
            log_artifacts(client, run.info.artifact_uri, child, record, visit.file)
            self._log_model(visit, child, run)
        if visit.damage is not None:
            raise visit.damage
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

    def _log_model(self, visit: Visit, child: RunSyncState, run: Run) -> None:
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
