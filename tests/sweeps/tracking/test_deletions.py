"""Runs and experiments that the user deleted, purged, restored or renamed in MLflow."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import ViewType

from factorlab.storage.record import Record
from tests.helpers.mlflow_runs import (
    EXPERIMENT,
    SWEEP,
    all_runs,
    assert_same_points,
    child_runs,
    client_of,
    execute,
    finish,
    key_of,
    parent_runs,
    start_and_stop,
    statuses,
    sync_of,
    write_killed_runs,
    write_record,
)

pytestmark = pytest.mark.usefixtures("no_server")


def run_command(note, start):
    """Run the `mlflow` command that a note names, split as by a shell."""
    text = note[note.index(start) :].partition(";")[0]
    *settings, program = shlex.split(text)[: shlex.split(text).index("mlflow") + 1]
    words = shlex.split(text)[len(settings) + 1 :]
    command = [str(Path(sys.executable).parent / program), *words]
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= dict(setting.split("=", 1) for setting in settings)
    subprocess.run(command, env=environment, check=True, capture_output=True)


@pytest.mark.parametrize("when", ["before", "while the sweep runs"])
def test_sync_leaves_deleted_run_until_restored(runs, when):
    write_record(runs, 0, done=True)
    write_record(runs, 1)
    sync = sync_of(runs, [0, 1])
    sync.sync()
    gone = child_runs(runs)[key_of(1)].info.run_id
    client_of(runs).delete_run(gone)
    write_record(runs, 1, [60])
    if when == "before":
        sync = sync_of(runs, [0, 1])
    assert sync.sync() == 0
    finish(Record(runs, key_of(1)))
    assert sync.sync() == 0
    assert statuses(runs) == {0: "FINISHED"}
    assert parent_runs(runs)[0].info.status == "FINISHED"  # as the records say
    (note,) = sync.notes()
    assert f"1 run of {SWEEP} was deleted in the store" in note
    unplanned = sync_of(runs, [0])
    unplanned.sync()
    assert unplanned.notes() == []
    assert "restore what was deleted in the UI" in note
    client_of(runs).restore_run(gone)
    assert sync.sync() == 2
    assert sync.notes() == []
    assert child_runs(runs)[key_of(1)].info.run_id == gone
    assert statuses(runs) == {0: "FINISHED", 1: "FINISHED"}
    assert assert_same_points(runs, [0, 1]) == 22


def test_sync_recreates_purged_run(runs):
    write_record(runs, 0, done=True)
    write_record(runs, 1, done=True)
    sync_of(runs, [0, 1]).sync()
    gone = child_runs(runs)[key_of(1)].info.run_id
    client_of(runs).delete_run(gone)
    sync = sync_of(runs, [0, 1])
    sync.sync()
    (note,) = sync.notes()
    run_command(note, "mlflow gc")
    assert sync_of(runs, [0, 1]).sync() == 10
    assert statuses(runs) == {0: "FINISHED", 1: "FINISHED"}
    assert assert_same_points(runs, [0, 1]) == 20


def test_sync_leaves_deleted_parent_until_restored(runs):
    write_killed_runs(runs, [0, 1])
    (parent,) = parent_runs(runs)
    client_of(runs).delete_run(parent.info.run_id)
    finish(Record(runs, key_of(0)))
    write_record(runs, 2, done=True)
    (note,) = start_and_stop(runs, [0, 1, 2])
    assert "parent run" in note
    assert parent_runs(runs) == []
    assert statuses(runs) == {0: "FINISHED", 1: "KILLED"}
    sync_of(runs, [0, 1, 2]).log_figures([Record(runs, key_of(0)).path / "result.json"])
    run_command(note, "MLFLOW_TRACKING_URI=")
    assert sync_of(runs, [0, 1, 2]).sync() == 10
    assert parent_runs(runs)[0].info.run_id == parent.info.run_id
    assert statuses(runs) == {0: "FINISHED", 1: "KILLED", 2: "FINISHED"}
    assert assert_same_points(runs, [0, 1, 2]) == 30


def test_sync_recreates_purged_parent(runs):
    write_record(runs, 0, done=True)
    write_record(runs, 1)
    sync_of(runs, [0, 1]).sync()
    ids = {run.info.run_id for run in child_runs(runs).values()}
    (parent,) = parent_runs(runs)
    for table in ("tags", "params", "metrics", "latest_metrics", "runs"):
        execute(runs, f"DELETE FROM {table} WHERE run_uuid = ?", parent.info.run_id)
    assert sync_of(runs, [0, 1]).sync() == 0
    (new,) = parent_runs(runs)
    assert new.info.run_id != parent.info.run_id
    found = child_runs(runs).values()
    assert {run.info.run_id for run in found} == ids
    assert {run.data.tags["mlflow.parentRunId"] for run in found} == {new.info.run_id}


def test_sync_leaves_deleted_experiment_until_restored(runs):
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    experiment = client_of(runs).get_experiment_by_name(EXPERIMENT).experiment_id
    client_of(runs).delete_experiment(experiment)
    write_record(runs, 1, done=True)
    (note,) = start_and_stop(runs, [0, 1])
    assert f"the experiment '{EXPERIMENT}' with the sweep {SWEEP} was deleted" in note
    assert len(client_of(runs).search_runs([experiment], run_view_type=ViewType.ALL)) == 2
    run_command(note, "MLFLOW_TRACKING_URI=")
    assert start_and_stop(runs, [0, 1]) == []
    assert statuses(runs) == {0: "FINISHED", 1: "FINISHED"}
    assert assert_same_points(runs, [0, 1]) == 20
    assert len(parent_runs(runs)) == 1


def test_start_reports_experiment_deleted_meanwhile(runs):
    write_record(runs, 0)
    sync = sync_of(runs, [0, 1])
    sync.sync()
    client = client_of(runs)
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    write_record(runs, 0, [60])
    write_record(runs, 1, done=True)
    sync.start()
    sync.stop()
    assert sync.problem is None
    assert "experiments restore" in sync.notes()[0]


def test_sync_recreates_purged_experiment(runs):
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    client = client_of(runs)
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    (note,) = start_and_stop(runs, [0])
    run_command(note, "mlflow gc")
    assert sync_of(runs, [0]).sync() == 10
    assert statuses(runs) == {0: "FINISHED"}


def test_sync_follows_renamed_experiment(runs):
    write_record(runs, 0)
    sync_of(runs, [0, 1]).sync()
    client = client_of(runs)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    client.rename_experiment(experiment, "of May")
    write_record(runs, 1, done=True)
    assert sync_of(runs, [0, 1]).sync() == 10
    assert client.get_experiment_by_name(EXPERIMENT) is None
    other = client.create_experiment(EXPERIMENT)
    finish(Record(runs, key_of(0)))
    assert sync_of(runs, [0, 1]).sync() == 0
    assert client.search_runs([other]) == []
    found = all_runs(runs, "of May")
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len(found) == 3
