"""One pass that brings the MLflow runs of a sweep up to date with the records of its trials.

A pass can be interrupted at any point and repeated without creating duplicates. Runs are found by
their tags, and points are sent with the times of the journal. Runs that the user deleted in the
store stay deleted. Exceptions of MLflow propagate unchanged.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from factorlab.errors import concerns_one_file
from factorlab.provenance import code_record
from factorlab.storage.files import DamagedFile
from factorlab.storage.record import Record
from sweeps.tracking import stored_runs
from sweeps.tracking.presentation import sweep_run
from sweeps.tracking.presentation.about import SweepAbout
from sweeps.tracking.run_logging import RunStatus, TrackedTrial, set_status, set_tags, status_of
from sweeps.tracking.store.identity import TAG
from sweeps.tracking.stored_runs import Connection, StoredSweep
from sweeps.tracking.trial_runs import ChildRuns
from sweeps.tracking.visit import SweepPhase

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_ONE_RUN = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST"}
"""Error codes of a store that concern a single run and not the store itself."""


class SweepRuns:
    """The parent run of a sweep and the child runs of its trials."""

    def __init__(
        self,
        *,
        runs: Path,
        sweep: str,
        experiment: str,
        profile: str,
        trials: Sequence[TrackedTrial] | None,
        connect: Callable[[], Connection],
        about: SweepAbout,
        searches: bool,
    ) -> None:
        self._runs, self._sweep, self._experiment = runs, sweep, experiment
        self._trials = None if trials is None else list(trials)
        self._connect = connect
        self._about, self._searches = about, searches
        self._tags = {
            "factorlab.sweep": sweep,
            "factorlab.experiment": experiment,
            "factorlab.profile": profile,
        }
        self._connection: Connection | None = None
        self._stored: StoredSweep | None = None
        self._is_stale = True  # whether to query the store again
        self._parent_status: RunStatus | None = None
        self._described = ""  # id of the parent run whose tags describe the current code
        self._children = ChildRuns(runs, sweep, self._tags, about.command)

    def add(self, trial: TrackedTrial) -> None:
        """Add a trial that a search picked. Another thread may be in `send`."""
        assert self._trials is not None
        self._trials.append(trial)

    def end_search(self) -> None:
        """State that the search of the sweep picks no further trial."""
        self._searches = False

    def send(self, phase: SweepPhase, out_of_time: Callable[[], bool] = lambda: False) -> int:
        """Bring all runs up to date, and return the number of metric points sent.

        Args:
            phase: State of the sweep, which decides the status of trials that have not ended.
            out_of_time: Called before every trial. The pass is aborted if it returns True.

        Raises:
            TimeoutError: The pass was aborted.
            Exception: MLflow or a record raised an error. If the error concerns only one trial, it
                is raised after the other trials were updated.
        """
        try:
            return self._send(phase, out_of_time)
        except Exception as error:
            if not _of_record(error):
                self._is_stale = True  # outdated information may be the cause
            raise

    def _send(self, phase: SweepPhase, out_of_time: Callable[[], bool]) -> int:
        connection, found = self._open(phase)
        sent, problem = 0, None
        for trial in self._due(found, phase):
            if out_of_time():
                raise TimeoutError("not everything could be sent in time")
            try:
                sent += self._children.bring(connection, found, trial, phase)
            except Exception as error:
                if self._was_deleted(connection.client, trial.key, error):
                    self._is_stale = True
                    continue
                if not _concerns_one_run(error):
                    raise
                problem = problem or error
        if phase != "live":
            self._children.settle_doubles(connection, found)
        self._update_parents(connection.client, found, phase)
        if problem is not None:
            raise problem
        return sent

    def refresh(self) -> None:
        """Check completed trials again at the next pass."""
        self._children.complete.clear()

    def log_figures(self, files: Sequence[Path], verdicts: Sequence[tuple[str, str]] = ()) -> None:
        """Upload files to `figures` of the parent run, unless the user deleted the run.

        Args:
            files: The files. The description of the sweep shows those that are PNG images.
            verdicts: Findings and how they were judged, for the description.
        """
        connection, found = self._open("unknown")
        if found.parent is None or found.lost_artifacts is not None:
            return
        client = connection.client
        shown = sweep_run.log_figures(client, found.parent.info.run_id, files)
        count = len(self._trials or ())
        sweep_run.present(
            client, found.parent, self._about, count, figures=shown, verdicts=verdicts
        )

    def notes(self, uri: str) -> list[str]:
        """Return a message for each problem in the store that the user has to resolve.

        Args:
            uri: URI of the store.
        """
        planned = {trial.key for trial in self._trials or ()}
        if self._stored is None:
            return []
        return list(stored_runs.explain(self._stored, self._sweep, uri, planned))

    def _due(self, found: StoredSweep, phase: SweepPhase) -> Iterator[TrackedTrial]:
        """Return the trials to update, including unplanned ones unless the sweep is running."""
        due = list(self._trials or ())
        if phase != "live":
            planned = {trial.key for trial in due}
            due += [
                TrackedTrial(key, runs[0].info.run_name, {})
                for key, runs in found.children.items()
                if key not in planned
            ]
        return (trial for trial in due if trial.key not in self._children.complete)

    def _was_deleted(self, client: MlflowClient, key: str, error: Exception) -> bool:
        """Return whether an error occurred because the user deleted the trial's run meanwhile."""
        child = self._children.known.get(key)
        self._children.forget(key)
        if child is None or getattr(error, "error_code", None) not in _ONE_RUN:
            return False
        return bool(client.get_run(child.run).info.lifecycle_stage == "deleted")

    # The parent run

    def _open(self, phase: SweepPhase) -> tuple[Connection, StoredSweep]:
        """Connect to the store, find the runs of the sweep and create the parent run if missing."""
        if self._connection is None:
            self._connection = self._connect()
        connection, client = self._connection, self._connection.client
        found = self._stored
        if found is None or self._is_stale or self._changed(connection, found, phase):
            found = stored_runs.find(client, self._sweep, self._experiment, connection.owner)
            if found.parent is None and not found.closed and self._trials is not None:
                self._create_parent(connection, found)
            if connection.artifacts is not None and connection.owner.database is None:
                found.lost_artifacts = stored_runs.lost_artifacts(found.experiment)
            self._children.keep(found)
            self._stored, self._is_stale = found, False
            if found.parent is not None:
                self._parent_status = found.parent.info.status
        parent = found.parent
        if parent is not None and parent.info.run_id != self._described:
            if self._trials is not None:
                lost = found.lost_artifacts is not None
                self._children.code = self._describe(client, parent, phase, with_diff=not lost)
                sweep_run.present(client, parent, self._about, len(self._trials))
            if TAG not in parent.data.tags:
                client.set_tag(parent.info.run_id, TAG, connection.owner.folders[0])
            self._described = parent.info.run_id
        return connection, found

    def _changed(self, connection: Connection, found: StoredSweep, phase: SweepPhase) -> bool:
        """Return whether the user deleted or restored runs since the last query."""
        if phase == "live" or found.experiment is None:
            return False
        experiment = found.experiment.experiment_id
        gone = stored_runs.deleted_ids(connection.client, self._sweep, experiment, connection.owner)
        return gone != found.deleted_ids

    def _create_parent(self, connection: Connection, found: StoredSweep) -> None:
        client, tag = connection.client, {TAG: connection.owner.folders[0]}
        if found.experiment is None:
            created = client.create_experiment(self._experiment, connection.artifacts, tag)
            found.experiment = client.get_experiment(created)
        tags = {**self._tags, **tag, "factorlab.role": "sweep"}
        experiment = found.experiment.experiment_id
        found.parents = [client.create_run(experiment, tags=tags, run_name=self._sweep)]

    def _describe(
        self, client: MlflowClient, parent: Run, phase: SweepPhase, *, with_diff: bool
    ) -> dict[str, str]:
        """Set the tags and the diff of the code on the parent run, and return the tags.

        This is the code of this process if the sweep trains. If not, tags that are there are kept,
        and a new parent run gets the code that trained last.
        """
        before = {k: v for k, v in parent.data.tags.items() if k in code_record.TAGS}
        trials = self._trials or ()
        records = (Record(self._runs, trial.key) for trial in trials)
        trains = phase == "live" and not all(record.has_result() for record in records)
        if before and not trains:
            return before
        last = None if trains else self._last_code()
        tags, diff = last or (code_record.code().revision.tags(), code_record.code().revision.diff)
        for name in before.keys() - tags.keys():
            client.delete_tag(parent.info.run_id, name)
        if diff and with_diff:
            with tempfile.TemporaryDirectory(prefix="factorlab-") as folder:
                path = Path(folder) / "dirty.diff"
                path.write_bytes(diff)
                client.log_artifact(parent.info.run_id, str(path))
        set_tags(client, parent.info.run_id, tags)
        return tags

    def _last_code(self) -> tuple[dict[str, str], bytes] | None:
        """Return the tags and the diff of the code that finished a trial last, None if unknown."""
        latest, code = 0.0, {}
        for record in (Record(self._runs, trial.key) for trial in self._trials or ()):
            result = record.result() if record.state() == "done" else None
            if result is not None and result["finished"] > latest:
                latest, code = result["finished"], code_record.tags(result.get("code", []))
        tags = {name: value for name, value in code.items() if name in code_record.TAGS}
        if not tags:
            return None
        saved = self._runs / "code" / f"{tags.get(code_record.DIFF_TAG)}.patch"
        return tags, saved.read_bytes() if saved.exists() else b""

    def _update_parents(self, client: MlflowClient, found: StoredSweep, phase: SweepPhase) -> None:
        """Set the status of the parent run and of duplicate parents from the trials' statuses."""
        if found.parent is None:
            return
        status = self._status(found, phase)
        if status != self._parent_status:
            set_status(client, found.parent.info.run_id, status, time.time())
            self._parent_status = status
        for second in found.parents[1:] if phase != "live" else []:
            if second.info.status == "RUNNING" != status:
                set_status(client, second.info.run_id, status, time.time())

    def _status(self, found: StoredSweep, phase: SweepPhase) -> RunStatus:
        """Return the status of the sweep, derived from its planned trials."""
        children = self._children.known
        if self._trials is None:  # without a plan, the full set of trials is unknown
            trains = any(child.status == "RUNNING" for child in children.values())
            return "RUNNING" if trains else self._ended_as()
        statuses = [
            children[key].status if key in children else status_of(Record(self._runs, key))
            for key in (trial.key for trial in self._trials)
            if key in children or key in found.deleted
        ]
        done, failed = statuses.count("FINISHED"), statuses.count("FAILED")
        if done == len(self._trials) and not self._searches:
            return "FINISHED"
        if phase == "live" or (phase == "unknown" and "RUNNING" in statuses):
            return "RUNNING"
        if self._searches:  # only the sweep's own process knows that the search was over
            return self._ended_as() if phase == "unknown" else "KILLED"
        if done + self._stopped_early() == len(self._trials):
            return "FINISHED"
        return "FAILED" if done + failed == len(self._trials) else "KILLED"

    def _ended_as(self) -> RunStatus:
        """Return the status that the parent run has, or that of a sweep that was killed."""
        known = self._parent_status
        return "KILLED" if known is None or known == "RUNNING" else known

    def _stopped_early(self) -> int:
        """Return how many trials a scheduler stopped, which no process has resumed since."""
        killed = (key for key, child in self._children.known.items() if child.status == "KILLED")
        return sum(Record(self._runs, key).state() == "stopped" for key in killed)


def _concerns_one_run(error: Exception) -> bool:
    """Return whether an error concerns a single run, so that the pass can continue."""
    return _of_record(error) or getattr(error, "error_code", None) in _ONE_RUN


def _of_record(error: Exception) -> bool:
    """Return whether an error concerns a file of a record."""
    if isinstance(error, OSError):
        return isinstance(error, FileNotFoundError) or concerns_one_file(error)
    return isinstance(error, DamagedFile)
