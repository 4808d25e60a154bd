"""What the user deleted, renamed or no longer plans: every run ends in a state that is true."""

import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mirrored import (
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
    key_of,
    mirror,
    parents,
    query,
    state_file,
    write_record,
)
from mlflow.entities import ViewType
from processes import wait_for

from factorlab.record import Record

pytestmark = pytest.mark.usefixtures("no_server")

GONE = FileNotFoundError(2, "No such file or directory")


def statuses(runs):
    """The status of each trial's run, by number."""
    return {int(key, 16): run.info.status for key, run in children(runs).items()}


def killed(runs, numbers):
    """Leave runs as they are after everything was killed: shown as running."""
    for number in numbers:
        record = write_record(runs, number)
        with record.lease():
            mirror(runs, numbers).sync()
    change(runs, "UPDATE runs SET status = 'RUNNING'")
    for number in numbers:
        state_file(Record(runs, key_of(number))).unlink()  # or it is behind
    assert set(statuses(runs).values()) == {"RUNNING"}


def follow(runs, numbers):
    """Follow a sweep that ends at once; returns what is told."""
    following = mirror(runs, numbers)
    following.start()
    following.stop()
    assert following.problem is None
    return following.notes()


def run_command(note, start):
    """Run the command of MLflow that a note names, by a shell's rules but without one."""
    text = note[note.index(start) :].partition(";")[0]
    *settings, program = shlex.split(text)[: shlex.split(text).index("mlflow") + 1]
    words = shlex.split(text)[len(settings) + 1 :]
    command = [str(Path(sys.executable).parent / program), *words]
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= dict(setting.split("=", 1) for setting in settings)
    subprocess.run(command, env=environment, check=True, capture_output=True)


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


@pytest.mark.parametrize("when", ["before", "while the sweep runs"])
def test_a_deleted_run_stays_deleted_until_it_is_restored(runs, when):
    write_record(runs, 0, done=True)
    write_record(runs, 1)
    following = mirror(runs, [0, 1])
    following.sync()
    gone = children(runs)[key_of(1)].info.run_id
    client_of(runs).delete_run(gone)
    write_record(runs, 1, [60])
    if when == "before":
        following = mirror(runs, [0, 1])
    assert following.sync() == 0
    finish(Record(runs, key_of(1)))
    assert following.sync() == 0
    assert statuses(runs) == {0: "FINISHED"}
    assert parents(runs)[0].info.status == "FINISHED"  # as the records say
    (note,) = following.notes()
    assert f"1 run of {SWEEP} was deleted there" in note
    unplanned = mirror(runs, [0])
    unplanned.sync()
    assert unplanned.notes() == []
    assert "restore it in the UI" in note
    client_of(runs).restore_run(gone)
    assert following.sync() == 2
    assert following.notes() == []
    assert children(runs)[key_of(1)].info.run_id == gone
    assert statuses(runs) == {0: "FINISHED", 1: "FINISHED"}
    assert assert_same_points(runs, [0, 1]) == 22


def test_a_deleted_run_that_is_purged_is_made_anew(runs):
    write_record(runs, 0, done=True)
    write_record(runs, 1, done=True)
    mirror(runs, [0, 1]).sync()
    gone = children(runs)[key_of(1)].info.run_id
    client_of(runs).delete_run(gone)
    following = mirror(runs, [0, 1])
    following.sync()
    (note,) = following.notes()
    run_command(note, "mlflow gc")
    assert mirror(runs, [0, 1]).sync() == 10
    assert statuses(runs) == {0: "FINISHED", 1: "FINISHED"}
    assert assert_same_points(runs, [0, 1]) == 20


def test_a_deleted_sweep_gets_no_second_one_and_its_runs_end(runs):
    killed(runs, [0, 1])
    (parent,) = parents(runs)
    client_of(runs).delete_run(parent.info.run_id)
    finish(Record(runs, key_of(0)))
    write_record(runs, 2, done=True)
    (note,) = follow(runs, [0, 1, 2])
    assert "parent run" in note
    assert parents(runs) == []
    assert statuses(runs) == {0: "FINISHED", 1: "KILLED"}
    mirror(runs, [0, 1, 2]).log_figures([Record(runs, key_of(0)).path / "result.json"])
    run_command(note, "MLFLOW_TRACKING_URI=")
    assert mirror(runs, [0, 1, 2]).sync() == 10
    assert parents(runs)[0].info.run_id == parent.info.run_id
    assert statuses(runs) == {0: "FINISHED", 1: "KILLED", 2: "FINISHED"}
    assert assert_same_points(runs, [0, 1, 2]) == 30


def test_the_runs_of_a_purged_sweep_are_hung_below_a_new_one(runs):
    write_record(runs, 0, done=True)
    write_record(runs, 1)
    mirror(runs, [0, 1]).sync()
    ids = {run.info.run_id for run in children(runs).values()}
    (parent,) = parents(runs)
    for table in ("tags", "params", "metrics", "latest_metrics", "runs"):
        change(runs, f"DELETE FROM {table} WHERE run_uuid = ?", parent.info.run_id)
    assert mirror(runs, [0, 1]).sync() == 0
    (new,) = parents(runs)
    assert new.info.run_id != parent.info.run_id
    found = children(runs).values()
    assert {run.info.run_id for run in found} == ids
    assert {run.data.tags["mlflow.parentRunId"] for run in found} == {new.info.run_id}


def test_a_deleted_experiment_stays_deleted_until_it_is_restored(runs):
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    experiment = client_of(runs).get_experiment_by_name(EXPERIMENT).experiment_id
    client_of(runs).delete_experiment(experiment)
    write_record(runs, 1, done=True)
    (note,) = follow(runs, [0, 1])
    assert f"the experiment '{EXPERIMENT}' was deleted" in note
    assert len(client_of(runs).search_runs([experiment], run_view_type=ViewType.ALL)) == 2
    run_command(note, "MLFLOW_TRACKING_URI=")
    assert follow(runs, [0, 1]) == []
    assert statuses(runs) == {0: "FINISHED", 1: "FINISHED"}
    assert assert_same_points(runs, [0, 1]) == 20
    assert len(parents(runs)) == 1


def test_an_experiment_that_is_deleted_while_the_sweep_runs(runs):
    write_record(runs, 0)
    following = mirror(runs, [0, 1])
    following.sync()
    client = client_of(runs)
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    write_record(runs, 0, [60])
    write_record(runs, 1, done=True)
    following.start()
    following.stop()
    assert following.problem is None
    assert "experiments restore" in following.notes()[0]


def test_a_purged_experiment_is_made_anew(runs):
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    client = client_of(runs)
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    (note,) = follow(runs, [0])
    run_command(note, "mlflow gc")
    assert mirror(runs, [0]).sync() == 10
    assert statuses(runs) == {0: "FINISHED"}


def test_a_renamed_experiment_keeps_its_sweeps(runs):
    write_record(runs, 0)
    mirror(runs, [0, 1]).sync()
    client = client_of(runs)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    client.rename_experiment(experiment, "of May")
    write_record(runs, 1, done=True)
    assert mirror(runs, [0, 1]).sync() == 10
    assert client.get_experiment_by_name(EXPERIMENT) is None
    other = client.create_experiment(EXPERIMENT)
    finish(Record(runs, key_of(0)))
    assert mirror(runs, [0, 1]).sync() == 0
    assert client.search_runs([other]) == []
    found = all_runs(runs, "of May")
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len(found) == 3


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
    assert f"1 run is in {SWEEP} a second time" in note
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
    assert "a second time" in following.notes()[0]


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
        "from mirrored import mirror; print(mirror(Path(sys.argv[2]), [0, 1]).sync())"
    )  # this process has the other file open
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(runs)]
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
        patch.setattr("sweeps.child_runs.log_artifacts", lambda *_: (_ for _ in ()).throw(GONE))
        wait_for(lambda: following.problem is not None)
    wait_for(lambda: following.problem is None)
    following.stop()
    assert following.problem is None
    assert statuses(runs) == {0: "KILLED"}
    assert assert_same_points(runs, [0]) == 12
    assert record.state() == "resumable"
