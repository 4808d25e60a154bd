"""Runs that no plan names, or twice, or without a record: all end in a state that is true."""

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
    as_earlier_versions_wrote,
    assert_same_points,
    change,
    children,
    client_of,
    copy_store,
    finish,
    follow,
    key_of,
    killed,
    mirror,
    parents,
    query,
    statuses,
    write_record,
)
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")

GONE = FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize("way", ["the end of a sweep", "sync"])
def test_runs_that_are_no_longer_planned_get_the_end_of_their_record(runs, way):
    killed(runs, [0, 1, 2])
    finish(Record(runs, key_of(0)))
    write_record(runs, 1, [60])
    Record(runs, key_of(1)).write_failure("loss is nan", 60)
    write_record(runs, 3, done=True)
    if way == "sync":
        mirror(runs, [3]).sync()
    else:
        follow(runs, [3])
    assert statuses(runs) == {0: "FINISHED", 1: "FAILED", 2: "KILLED", 3: "FINISHED"}
    assert assert_same_points(runs, [0, 1, 2, 3]) == 42
    (parent,) = parents(runs)
    assert parent.info.status == "FINISHED"  # the planned one is done
    mirror(runs, [0, 3]).sync()
    assert len(all_runs(runs)) == 5


def test_an_unplanned_run_that_someone_trains_stays_running(runs):
    killed(runs, [0])
    with Record(runs, key_of(0)).lease():
        mirror(runs, [1]).sync()
        assert statuses(runs) == {0: "RUNNING"}
    mirror(runs, [1]).sync()
    assert statuses(runs) == {0: "KILLED"}


def test_a_run_whose_record_was_deleted_does_not_stay_running(runs):
    killed(runs, [0, 1])
    write_record(runs, 2, done=True)
    mirror(runs, [0, 1, 2]).sync()
    change(runs, "UPDATE runs SET status = 'RUNNING' WHERE status = 'KILLED'")
    for number in (0, 2):
        shutil.rmtree(Record(runs, key_of(number)).path)
    mirror(runs, [0, 2]).sync()
    assert statuses(runs) == {0: "KILLED", 1: "KILLED", 2: "FINISHED"}
    assert not Record(runs, key_of(0)).path.exists()
    assert parents(runs)[0].info.status == "KILLED"
    write_record(runs, 2, done=True)  # trained again
    mirror(runs, [0, 2]).sync()
    assert len(all_runs(runs)) == 4


def test_second_runs_of_earlier_versions_are_named_and_end(runs):
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    client = client_of(runs)
    child, (parent,) = children(runs)[key_of(0)], parents(runs)
    tags = {**child.data.tags, "factorlab.state": "running"}
    second = client.create_run(child.info.experiment_id, tags=tags).info.run_id
    following = mirror(runs, [0])
    assert following.sync() == 0
    (note,) = following.notes()
    assert f"1 duplicate run in {SWEEP}" in note
    assert second in note
    assert client.get_run(second).info.status == "FINISHED"
    client.delete_run(second)
    following.sync()
    assert following.notes() == []
    client.delete_run(child.info.run_id)
    client.restore_run(second)
    client.create_run(child.info.experiment_id, tags=dict(parent.data.tags))
    following = mirror(runs, [0])
    assert following.sync() == 10
    assert {run.info.status for run in parents(runs)} == {"FINISHED"}
    assert "duplicate run" in following.notes()[0]


def test_a_database_from_a_backup_gets_what_it_lacks(runs, tmp_path):
    write_record(runs, 0)
    write_record(runs, 1)
    mirror(runs, [0, 1]).sync()
    copy_store(runs / "mlflow.db", tmp_path / "backup.db")
    write_record(runs, 0, range(50, 100, 10), done=True)
    write_record(runs, 1, range(50, 80, 10))
    mirror(runs, [0, 1]).sync()
    for path in runs.glob("mlflow.db*"):
        path.unlink()
    shutil.copy(tmp_path / "backup.db", runs / "mlflow.db")
    write_record(runs, 1, [80])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from tests.helpers.mlflow_runs import mirror\n"
        "print(mirror(Path(sys.argv[2]), [0, 1]).sync())"
    )  # this process has the other file open
    command = [sys.executable, "-c", code, str(Path(__file__).parents[3]), str(runs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(2 * 5 + 2 * 4)
    assert len(query(runs, "SELECT * FROM metrics")) == 2 * 10 + 2 * 9
    assert dict(query(runs, "SELECT status, count(*) FROM runs GROUP BY status")) == {
        "FINISHED": 1,
        "KILLED": 2,
    }


def test_runs_of_earlier_versions_are_found_again(runs):
    killed(runs, [0, 1])
    as_earlier_versions_wrote(runs)
    finish(Record(runs, key_of(0)))
    mirror(runs, [2]).sync()
    assert statuses(runs) == {0: "FINISHED", 1: "KILLED"}
    assert len(parents(runs)) == 1


def test_tags_that_are_no_keys_become_no_paths(runs):
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    tags = children(runs)[key_of(0)].data.tags | {"factorlab.key": "../../out"}
    experiment = client_of(runs).get_experiment_by_name(EXPERIMENT).experiment_id
    client_of(runs).create_run(experiment, tags=tags)
    mirror(runs, [0]).sync()
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        rows = database.execute("SELECT status FROM runs WHERE status = 'RUNNING'").fetchall()
    assert len(rows) == 1
    assert not (runs / "out").exists()


def test_a_run_that_a_record_failed_for_a_moment_ends_as_it_should(runs, monkeypatch):
    record = write_record(runs, 0)
    mirror(runs, [0]).sync()
    assert statuses(runs) == {0: "KILLED"}
    following = mirror(runs, [0])
    following.start()
    write_record(runs, 0, [60])
    wait_for(lambda: statuses(runs) == {0: "RUNNING"})
    with monkeypatch.context() as patch:
        patch.setattr(
            "sweeps.tracking.trial_runs.log_artifacts", lambda *_: (_ for _ in ()).throw(GONE)
        )
        wait_for(lambda: following.problem is not None)
    wait_for(lambda: following.problem is None)
    following.stop()
    assert following.problem is None
    assert statuses(runs) == {0: "KILLED"}
    assert assert_same_points(runs, [0]) == 12
    assert record.state() == "resumable"
