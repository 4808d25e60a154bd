"""What the user deleted or renamed in MLflow stays so, and can be restored or purged."""

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
    change,
    children,
    client_of,
    finish,
    follow,
    key_of,
    killed,
    mirror,
    parents,
    statuses,
    write_record,
)

pytestmark = pytest.mark.usefixtures("no_server")


def run_command(note, start):
    """Run the command of MLflow that a note names, by a shell's rules but without one."""
    text = note[note.index(start) :].partition(";")[0]
    *settings, program = shlex.split(text)[: shlex.split(text).index("mlflow") + 1]
    words = shlex.split(text)[len(settings) + 1 :]
    command = [str(Path(sys.executable).parent / program), *words]
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= dict(setting.split("=", 1) for setting in settings)
    subprocess.run(command, env=environment, check=True, capture_output=True)


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
    assert f"1 run of {SWEEP} was deleted in the store" in note
    unplanned = mirror(runs, [0])
    unplanned.sync()
    assert unplanned.notes() == []
    assert "restore what was deleted in the UI" in note
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
    assert f"the experiment '{EXPERIMENT}' with the sweep {SWEEP} was deleted" in note
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
