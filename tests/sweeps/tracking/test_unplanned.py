"""Runs without a plan, without a record, or stored twice: all get their true state."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from factorlab.storage.record import Record
from tests.helpers.mlflow_runs import (
    EXPERIMENT,
    SWEEP,
    all_runs,
    assert_same_points,
    child_runs,
    client_of,
    copy_store,
    downgrade_folder,
    execute,
    finish,
    key_of,
    parent_runs,
    query,
    start_and_stop,
    statuses,
    sync_of,
    write_killed_runs,
    write_record,
)
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")

GONE = FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize("way", ["the end of a sweep", "sync"])
def test_sync_settles_unplanned_runs(runs, way):
    write_killed_runs(runs, [0, 1, 2])
    finish(Record(runs, key_of(0)))
    write_record(runs, 1, [60])
    Record(runs, key_of(1)).write_failure("loss is nan", 60)
    write_record(runs, 3, done=True)
    if way == "sync":
        sync_of(runs, [3]).sync()
    else:
        start_and_stop(runs, [3])
    assert statuses(runs) == {0: "FINISHED", 1: "FAILED", 2: "KILLED", 3: "FINISHED"}
    assert assert_same_points(runs, [0, 1, 2, 3]) == 42
    (parent,) = parent_runs(runs)
    assert parent.info.status == "FINISHED"  # the planned one is done
    sync_of(runs, [0, 3]).sync()
    assert len(all_runs(runs)) == 5


def test_sync_leaves_unplanned_run_in_training(runs):
    write_killed_runs(runs, [0])
    with Record(runs, key_of(0)).lease():
        sync_of(runs, [1]).sync()
        assert statuses(runs) == {0: "RUNNING"}
    sync_of(runs, [1]).sync()
    assert statuses(runs) == {0: "KILLED"}


def test_sync_ends_run_without_record(runs):
    write_killed_runs(runs, [0, 1])
    write_record(runs, 2, done=True)
    sync_of(runs, [0, 1, 2]).sync()
    execute(runs, "UPDATE runs SET status = 'RUNNING' WHERE status = 'KILLED'")
    for number in (0, 2):
        shutil.rmtree(Record(runs, key_of(number)).path)
    sync_of(runs, [0, 2]).sync()
    assert statuses(runs) == {0: "KILLED", 1: "KILLED", 2: "FINISHED"}
    assert not Record(runs, key_of(0)).path.exists()
    assert parent_runs(runs)[0].info.status == "KILLED"
    write_record(runs, 2, done=True)  # trained again
    sync_of(runs, [0, 2]).sync()
    assert len(all_runs(runs)) == 4


def test_sync_settles_second_runs_of_earlier_versions(runs):
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    client = client_of(runs)
    child, (parent,) = child_runs(runs)[key_of(0)], parent_runs(runs)
    tags = {**child.data.tags, "factorlab.state": "running"}
    second = client.create_run(child.info.experiment_id, tags=tags).info.run_id
    sync = sync_of(runs, [0])
    assert sync.sync() == 0
    (note,) = sync.notes()
    assert f"1 duplicate run in {SWEEP}" in note
    assert second in note
    assert client.get_run(second).info.status == "FINISHED"
    client.delete_run(second)
    sync.sync()
    assert sync.notes() == []
    client.delete_run(child.info.run_id)
    client.restore_run(second)
    client.create_run(child.info.experiment_id, tags=dict(parent.data.tags))
    sync = sync_of(runs, [0])
    assert sync.sync() == 10
    assert {run.info.status for run in parent_runs(runs)} == {"FINISHED"}
    assert "duplicate run" in sync.notes()[0]


def test_sync_completes_database_from_backup(runs, tmp_path):
    write_record(runs, 0)
    write_record(runs, 1)
    sync_of(runs, [0, 1]).sync()
    copy_store(runs / "mlflow.db", tmp_path / "backup.db")
    write_record(runs, 0, range(50, 100, 10), done=True)
    write_record(runs, 1, range(50, 80, 10))
    sync_of(runs, [0, 1]).sync()
    for path in runs.glob("mlflow.db*"):
        path.unlink()
    shutil.copy(tmp_path / "backup.db", runs / "mlflow.db")
    write_record(runs, 1, [80])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from tests.helpers.mlflow_runs import sync_of\n"
        "print(sync_of(Path(sys.argv[2]), [0, 1]).sync())"
    )  # this process has the deleted file open
    command = [sys.executable, "-c", code, str(Path(__file__).parents[3]), str(runs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(2 * 5 + 2 * 4)
    assert len(query(runs, "SELECT * FROM metrics")) == 2 * 10 + 2 * 9
    assert dict(query(runs, "SELECT status, count(*) FROM runs GROUP BY status")) == {
        "FINISHED": 1,
        "KILLED": 2,
    }


def test_sync_finds_runs_of_earlier_versions(runs):
    write_killed_runs(runs, [0, 1])
    downgrade_folder(runs)
    finish(Record(runs, key_of(0)))
    sync_of(runs, [2]).sync()
    assert statuses(runs) == {0: "FINISHED", 1: "KILLED"}
    assert len(parent_runs(runs)) == 1


def test_sync_ignores_tags_that_are_no_keys(runs):
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    tags = child_runs(runs)[key_of(0)].data.tags | {"factorlab.key": "../../out"}
    experiment = client_of(runs).get_experiment_by_name(EXPERIMENT).experiment_id
    client_of(runs).create_run(experiment, tags=tags)
    sync_of(runs, [0]).sync()
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        rows = database.execute("SELECT status FROM runs WHERE status = 'RUNNING'").fetchall()
    assert len(rows) == 1
    assert not (runs / "out").exists()


def test_start_recovers_from_temporary_error(runs, monkeypatch):
    record = write_record(runs, 0)
    sync_of(runs, [0]).sync()
    assert statuses(runs) == {0: "KILLED"}
    sync = sync_of(runs, [0])
    sync.start()
    write_record(runs, 0, [60])
    wait_for(lambda: statuses(runs) == {0: "RUNNING"})
    with monkeypatch.context() as patch:
        patch.setattr(
            "sweeps.tracking.trial_runs.log_artifacts", lambda *_: (_ for _ in ()).throw(GONE)
        )
        wait_for(lambda: sync.problem is not None)
    wait_for(lambda: sync.problem is None)
    sync.stop()
    assert sync.problem is None
    assert statuses(runs) == {0: "KILLED"}
    assert assert_same_points(runs, [0]) == 12
    assert record.state() == "resumable"
