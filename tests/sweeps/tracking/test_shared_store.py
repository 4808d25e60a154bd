"""Several runs folders share one store: none changes the runs of another."""

import shutil

import pytest

from factorlab.storage.files import read_json, write_json
from factorlab.storage.record import Record
from sweeps.tracking.store.identity import TAG
from tests.helpers.mlflow_runs import (
    SWEEP,
    all_runs,
    client_of,
    finish,
    key_of,
    state_file,
    sync_of,
    write_record,
)

pytestmark = pytest.mark.usefixtures("no_server", "shared")


@pytest.fixture
def shared(tmp_path, empty_store, monkeypatch):
    """A database outside all runs folders."""
    (tmp_path / "shared").mkdir()
    shutil.copy(empty_store, tmp_path / "shared" / "all.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared/all.db")


@pytest.fixture
def folders(tmp_path):
    return [tmp_path / name for name in ("first", "second")]


def shown(runs):
    """Return folder, trial number (-1 for a parent) and status of every run, sorted."""
    names = {
        read_json(path)["folder"]: path.parent.name for path in runs.parent.glob("*/mlflow.json")
    }
    return sorted(
        (
            names.get(run.data.tags.get(TAG)),
            int(run.data.tags.get("factorlab.key", "-1"), 16),
            run.info.status,
        )
        for run in all_runs(runs)
    )


def forget_folders(runs):
    """Remove the folder's identity and its tags, which earlier versions did not write."""
    for run in all_runs(runs):
        if TAG in run.data.tags:
            client_of(runs).delete_tag(run.info.run_id, TAG)
    (runs / "mlflow.json").unlink()


def test_sync_leaves_runs_of_other_folders(folders):
    first, second = folders
    with write_record(first, 0).lease():
        sync_of(first, [0]).sync()
        write_record(second, 0, done=True)
        write_record(second, 1)
        assert sync_of(second, [0, 1]).sync() == 20
        sync_of(second, [7]).sync()
        assert shown(first) == [
            *[("first", -1, "RUNNING"), ("first", 0, "RUNNING")],
            *[("second", -1, "KILLED"), ("second", 0, "FINISHED"), ("second", 1, "KILLED")],
        ]
    assert sync_of(first, [0]).sync() == 0
    assert len(all_runs(first)) == 5


def test_sync_tells_copied_from_moved_folder(folders, tmp_path):
    first, second = folders
    with write_record(first, 0).lease():
        sync_of(first, [0]).sync()
        shutil.copytree(first, second)
        assert sync_of(second, [0]).sync() == 10
        assert shown(first) == [
            *[("first", -1, "RUNNING"), ("first", 0, "RUNNING")],
            *[("second", -1, "KILLED"), ("second", 0, "KILLED")],
        ]
    moved = first.rename(tmp_path / "moved")
    assert sync_of(moved, [0]).sync() == 0
    assert [entry[0] for entry in shown(moved)] == ["moved", "moved", "second", "second"]


def test_sync_adopts_remembered_runs_of_earlier_versions(folders):
    first, second = folders
    write_record(first, 0)
    sync_of(first, [0]).sync()
    forget_folders(first)
    write_record(second, 0, done=True)
    assert sync_of(second, [0]).sync() == 10
    finish(Record(first, key_of(0)))
    assert sync_of(first, [0]).sync() == 0
    finished = [run for run in all_runs(first) if run.info.status == "FINISHED"]
    assert len(all_runs(first)) == len(finished) == 4
    assert {run.data.tags.get(TAG) for run in finished if "factorlab.key" not in run.data.tags} == {
        read_json(folder / "mlflow.json")["folder"] for folder in folders
    }


def test_sync_adopts_empty_sweep_of_earlier_versions(folders):
    first, _ = folders
    sync_of(first, [0]).sync()
    forget_folders(first)
    write_record(first, 0, done=True)
    sync_of(first, [0]).sync()
    assert shown(first) == [("first", -1, "FINISHED"), ("first", 0, "FINISHED")]


def test_sync_ignores_state_file_of_other_store(folders):
    first, _ = folders
    record = write_record(first, 0, done=True)
    sync_of(first, [0]).sync()
    document = read_json(state_file(record))
    write_json(state_file(record), document | {"store": "http://127.0.0.1:1"})
    assert sync_of(first, [0]).sync() == 0
    assert read_json(state_file(record)) == document
    assert [run.data.tags["factorlab.sweep"] for run in all_runs(first)] == [SWEEP, SWEEP]
