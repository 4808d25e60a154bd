"""Runs folders that are moved and copied: their contents do not depend on their path."""

import shutil
from pathlib import Path

import pytest

from factorlab.storage.files import read_json
from factorlab.storage.record import Record
from sweeps.tracking.mlflow_sync import open_store
from sweeps.tracking.store import access
from sweeps.tracking.store.relocate import InUse
from tests.helpers.mlflow_runs import (
    EXPERIMENT,
    all_runs,
    artifact_locations,
    assert_artifacts_inside,
    assert_same_points,
    child_runs,
    client_of,
    finish,
    key_of,
    parent_runs,
    read_artifact,
    state_file,
    sync_of,
    tree,
    write_record,
)
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")


def sync_more(runs):
    """Add points, a result and a figure, and sync them; return the number of points sent."""
    write_record(runs, 1, [60])
    finish(Record(runs, key_of(1)))
    (runs.parent / "figures" / "f.png").write_bytes(b"of the other")
    sync = sync_of(runs, [0, 1])
    sent = sync.sync()
    sync.log_figures([runs.parent / "figures" / "f.png"])
    assert sync.problem is None
    return sent


def test_relocate_copy_leaves_original_unchanged(synced, tmp_path):
    before = tree(synced)
    copy = tmp_path / "copy"
    shutil.copytree(synced, copy)
    assert "moved or copied from" in open_store(copy)
    assert open_store(copy) is None
    assert sync_more(copy) == 2
    assert tree(synced) == before
    assert_artifacts_inside(copy)
    assert assert_same_points(copy, [0, 1]) == 22
    (parent,) = parent_runs(copy)
    assert (
        read_artifact(copy, parent.info.run_id, "figures/f.png", tmp_path / "t") == b"of the other"
    )
    child = child_runs(copy)[key_of(1)].info
    picture = read_artifact(copy, child.run_id, "samples/step-0000000000.png", tmp_path / "t")
    assert picture == b"picture 1"
    assert child.status == "FINISHED"
    assert (copy / "artifacts" / child.run_id / "artifacts" / "result.json").exists()
    assert sync_more(synced) == 2  # the original is not affected by the copy
    assert assert_same_points(synced, [0, 1]) == 22


def test_relocate_twice_sends_nothing_again(synced, tmp_path):
    files = {p.name: p.stat().st_mtime_ns for p in (synced / "artifacts").rglob("*.*")}
    place = synced
    for name in ("one", "two"):
        place = place.rename(tmp_path / name)
        sync = sync_of(place, [0, 1])
        assert sync.sync() == 0
        assert any("moved or copied" in note for note in sync.notes())
        assert_artifacts_inside(place)
    assert {p.name: p.stat().st_mtime_ns for p in (place / "artifacts").rglob("*.*")} == files
    assert sync_more(place) == 2
    assert not synced.exists()
    assert not (tmp_path / "one").exists()
    assert len(all_runs(place)) == 3
    assert sync_of(place, [0, 1]).notes() == []


def test_relocate_resolves_symbolic_link(synced, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(synced)
    assert open_store(link) is None
    assert open_store(synced) is None
    moved = synced.rename(tmp_path / "moved")
    link.unlink()
    link.symlink_to(moved)
    assert "moved or copied" in open_store(link)
    assert open_store(moved) is None
    assert sync_of(link, [0, 1]).sync() == 0
    assert_artifacts_inside(moved)


def test_relocate_copy_gets_missing_artifacts_again(synced, tmp_path):
    run = child_runs(synced)[key_of(0)].info.run_id
    copy = tmp_path / "copy"
    shutil.copytree(synced, copy)
    (copy / "artifacts" / run / "artifacts" / "result.json").unlink()  # the original has it
    (copy / "artifacts" / run / "artifacts" / "config.json").write_text("shorter")
    access.close()
    before = tree(synced)
    assert sync_of(copy, [0, 1]).sync() == 0
    for name in ("result.json", "config.json"):
        sent = read_artifact(copy, run, name, tmp_path / "t")
        assert sent == (Record(copy, key_of(0)).path / name).read_bytes()
    assert tree(synced) == before


def test_relocate_refuses_folder_in_use(synced, tmp_path):
    first = sync_of(synced, [0, 1])
    first.start()
    wait_for(lambda: (synced / "sweeps").exists() and first.problem is None)
    wait_for(lambda: parent_runs(synced)[0].info.status == "RUNNING")
    moved = synced.rename(tmp_path / "moved")
    places = artifact_locations(moved)
    other = sync_of(moved, [0, 1], sweep="another")
    with pytest.raises(InUse):
        other.sync()
    assert f"still syncs a sweep of this folder as {synced}" in other.problem
    assert artifact_locations(moved) == places
    first.log_figures([tmp_path / "figures" / "f.png"])
    first.stop()
    assert not synced.exists()
    assert other.sync() == 2 * 10
    assert_artifacts_inside(moved)


def test_state_file_does_not_name_folder(runs):
    record = write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    assert str(runs) not in state_file(record).read_text()


def test_sync_accepts_relative_path_of_own_database(synced, monkeypatch):
    monkeypatch.chdir(synced.parent)
    for uri in ("sqlite:///runs/mlflow.db", f"sqlite+pysqlite:///{synced}/../runs/mlflow.db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert sync_of(Path("runs"), [0, 1]).sync() == 0
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert len(all_runs(synced)) == 3


def test_artifact_root_is_beside_other_database(runs, tmp_path, monkeypatch, empty_store):
    (tmp_path / "shared").mkdir()
    shutil.copy(empty_store, tmp_path / "shared" / "all.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared/all.db")
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    (parent,) = parent_runs(runs)
    assert parent.info.artifact_uri.startswith((tmp_path / "shared" / "artifacts").as_uri())
    assert not (runs / "artifacts").exists()


def test_lost_artifacts_do_not_recreate_moved_folder(runs, tmp_path, monkeypatch, empty_store):
    shutil.copy(empty_store, tmp_path / "all.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/all.db")
    client_of(runs).create_experiment(EXPERIMENT, (runs / "artifacts").as_uri())
    write_record(runs, 0)
    sync_of(runs, [0]).sync()
    moved = runs.rename(tmp_path / "moved")
    finish(Record(moved, key_of(0)))
    sync_of(moved, [0], sweep="another").sync()
    sync = sync_of(moved, [0])
    sync.sync()
    (note,) = sync.notes()
    assert str(runs / "artifacts") in note
    assert "link the old path to the new one" in note
    assert not runs.exists()
    assert child_runs(moved)[key_of(0)].info.status == "FINISHED"
    runs.symlink_to(moved)
    sync = sync_of(moved, [0])
    sync.sync()
    assert sync.notes() == []
    assert (moved / "artifacts" / child_runs(moved)[key_of(0)].info.run_id).exists()


def test_identity_damaged_adds_no_runs(synced):
    (synced / "mlflow.json").write_text("{")
    assert sync_of(synced, [0, 1]).sync() == 0
    assert len(all_runs(synced)) == 3


def test_identity_differs_between_copies(synced, tmp_path):
    open_store(synced)
    places = [synced]
    for name in ("one", "two"):
        places.append(tmp_path / name)
        shutil.copytree(places[-2], places[-1])
        sync_of(places[-1], [0, 1]).sync()
    identities = [read_json(place / "mlflow.json") for place in places]
    assert len({identity["folder"] for identity in identities}) == 3
    for place in places:
        assert sync_more(place) == 2
        assert len(all_runs(place)) == 3
        assert_artifacts_inside(place)
