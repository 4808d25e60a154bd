"""Runs folders that are moved and copied: nothing in them depends on where they lie."""

import shutil
from pathlib import Path

import pytest

from factorlab.storage.files import read_json
from factorlab.storage.record import Record
from sweeps.tracking.store import access
from sweeps.tracking.store.relocate import InUse
from sweeps.tracking.sync_thread import open_store
from tests.helpers.mlflow_runs import (
    EXPERIMENT,
    all_runs,
    assert_at_home,
    assert_same_points,
    children,
    client_of,
    finish,
    key_of,
    mirror,
    named_places,
    parents,
    read_artifact,
    state_file,
    tree,
    write_record,
)
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")


def go_on(runs):
    """Send more of everything, as a sweep in the folder does."""
    write_record(runs, 1, [60])
    finish(Record(runs, key_of(1)))
    (runs.parent / "figures" / "f.png").write_bytes(b"of the other")
    following = mirror(runs, [0, 1])
    sent = following.sync()
    following.log_figures([runs.parent / "figures" / "f.png"])
    assert following.problem is None
    return sent


def test_a_sweep_into_a_copy_leaves_the_original_as_it_was(written, tmp_path):
    before = tree(written)
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    assert "moved or copied from" in open_store(copy)
    assert open_store(copy) is None
    assert go_on(copy) == 2
    assert tree(written) == before
    assert_at_home(copy)
    assert assert_same_points(copy, [0, 1]) == 22
    (parent,) = parents(copy)
    assert (
        read_artifact(copy, parent.info.run_id, "figures/f.png", tmp_path / "t") == b"of the other"
    )
    child = children(copy)[key_of(1)].info
    picture = read_artifact(copy, child.run_id, "samples/step-0000000000.png", tmp_path / "t")
    assert picture == b"picture 1"
    assert child.status == "FINISHED"
    assert (copy / "artifacts" / child.run_id / "artifacts" / "result.json").exists()
    assert go_on(written) == 2  # which has nothing of the copy's
    assert assert_same_points(written, [0, 1]) == 22


def test_a_folder_that_is_moved_twice_sends_nothing_again(written, tmp_path):
    files = {p.name: p.stat().st_mtime_ns for p in (written / "artifacts").rglob("*.*")}
    place = written
    for name in ("one", "two"):
        place = place.rename(tmp_path / name)
        following = mirror(place, [0, 1])
        assert following.sync() == 0
        assert any("moved or copied" in note for note in following.notes())
        assert_at_home(place)
    assert {p.name: p.stat().st_mtime_ns for p in (place / "artifacts").rglob("*.*")} == files
    assert go_on(place) == 2
    assert not written.exists()
    assert not (tmp_path / "one").exists()
    assert len(all_runs(place)) == 3
    assert mirror(place, [0, 1]).notes() == []


def test_a_link_to_the_folder_is_the_folder(written, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(written)
    assert open_store(link) is None
    assert open_store(written) is None
    moved = written.rename(tmp_path / "moved")
    link.unlink()
    link.symlink_to(moved)
    assert "moved or copied" in open_store(link)
    assert open_store(moved) is None
    assert mirror(link, [0, 1]).sync() == 0
    assert_at_home(moved)


def test_artifacts_that_are_not_in_the_copy_are_sent_again(written, tmp_path):
    run = children(written)[key_of(0)].info.run_id
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    (copy / "artifacts" / run / "artifacts" / "result.json").unlink()  # it is in the original
    (copy / "artifacts" / run / "artifacts" / "config.json").write_text("shorter")
    access.close()
    before = tree(written)
    assert mirror(copy, [0, 1]).sync() == 0
    for name in ("result.json", "config.json"):
        sent = read_artifact(copy, run, name, tmp_path / "t")
        assert sent == (Record(copy, key_of(0)).path / name).read_bytes()
    assert tree(written) == before


def test_a_folder_that_a_process_still_follows_elsewhere_is_left_alone(written, tmp_path):
    first = mirror(written, [0, 1])
    first.start()
    wait_for(lambda: (written / "sweeps").exists() and first.problem is None)
    wait_for(lambda: parents(written)[0].info.status == "RUNNING")
    moved = written.rename(tmp_path / "moved")
    places = named_places(moved)
    other = mirror(moved, [0, 1], sweep="another")
    with pytest.raises(InUse):
        other.sync()
    assert f"still syncs a sweep of this folder as {written}" in other.problem
    assert named_places(moved) == places
    first.log_figures([tmp_path / "figures" / "f.png"])
    first.stop()
    assert not written.exists()
    assert other.sync() > 0
    assert_at_home(moved)


def test_state_files_do_not_say_where_the_folder_lies(runs):
    record = write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    assert str(runs) not in state_file(record).read_text()


def test_a_database_by_a_relative_path_is_the_folders_own(written, monkeypatch):
    monkeypatch.chdir(written.parent)
    for uri in ("sqlite:///runs/mlflow.db", f"sqlite+pysqlite:///{written}/../runs/mlflow.db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert mirror(Path("runs"), [0, 1]).sync() == 0
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert len(all_runs(written)) == 3


def test_a_database_elsewhere_has_its_artifacts_beside_it(runs, tmp_path, monkeypatch, empty_store):
    (tmp_path / "shared").mkdir()
    shutil.copy(empty_store, tmp_path / "shared" / "all.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared/all.db")
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    (parent,) = parents(runs)
    assert parent.info.artifact_uri.startswith((tmp_path / "shared" / "artifacts").as_uri())
    assert not (runs / "artifacts").exists()


def test_a_shared_store_of_earlier_versions_does_not_create_the_moved_folder_again(
    runs, tmp_path, monkeypatch, empty_store
):
    shutil.copy(empty_store, tmp_path / "all.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/all.db")
    client_of(runs).create_experiment(EXPERIMENT, (runs / "artifacts").as_uri())
    write_record(runs, 0)
    mirror(runs, [0]).sync()
    moved = runs.rename(tmp_path / "moved")
    finish(Record(moved, key_of(0)))
    mirror(moved, [0], sweep="another").sync()
    following = mirror(moved, [0])
    following.sync()
    (note,) = following.notes()
    assert str(runs / "artifacts") in note
    assert "link the old path to the new one" in note
    assert not runs.exists()
    assert children(moved)[key_of(0)].info.status == "FINISHED"
    runs.symlink_to(moved)
    following = mirror(moved, [0])
    following.sync()
    assert following.notes() == []
    assert (moved / "artifacts" / children(moved)[key_of(0)].info.run_id).exists()


def test_a_damaged_identity_costs_no_second_runs(written):
    (written / "mlflow.json").write_text("{")
    assert mirror(written, [0, 1]).sync() == 0
    assert len(all_runs(written)) == 3


def test_copies_of_copies_are_folders_of_their_own(written, tmp_path):
    open_store(written)
    places = [written]
    for name in ("one", "two"):
        places.append(tmp_path / name)
        shutil.copytree(places[-2], places[-1])
        mirror(places[-1], [0, 1]).sync()
    identities = [read_json(place / "mlflow.json") for place in places]
    assert len({identity["folder"] for identity in identities}) == 3
    for place in places:
        assert go_on(place) == 2
        assert len(all_runs(place)) == 3
        assert_at_home(place)
