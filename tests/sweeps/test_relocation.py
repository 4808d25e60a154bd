"""Runs folders that are moved and copied: nothing in them depends on where they lie."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mirrored import (
    EXPERIMENT,
    all_runs,
    as_earlier_versions_wrote,
    assert_same_points,
    change,
    children,
    client_of,
    finish,
    key_of,
    mirror,
    parents,
    query,
    state_file,
    tree,
    write_record,
)
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Param,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache, _get_store
from processes import wait_for

from factorlab.files import read_json
from factorlab.record import Record
from sweeps.relocate import InUse
from sweeps.tracking import Mirror, open_store, tracking_uri

pytestmark = pytest.mark.usefixtures("no_server")

ODD_NAMES = ["a b", "ü€", "100%", "%41", "c#d", "q?x", "x&y=z;w", "it's", "k:l"]


@pytest.fixture(params=["now", "earlier versions"])
def written(runs, request):
    """A runs folder with a finished run, one under way, a picture and a figure."""
    for number in (0, 1):
        record = write_record(runs, number, done=number == 0)
        (record.samples / "step-0000000000.png").write_bytes(b"picture %d" % number)
    following = mirror(runs, [0, 1])
    following.sync()
    figures = runs.parent / "figures"
    figures.mkdir()
    (figures / "f.png").write_bytes(b"of the original")
    following.log_figures([figures / "f.png"])
    if request.param == "earlier versions":
        as_earlier_versions_wrote(runs)
    return runs


def read_artifact(runs, run, path, target):
    target.mkdir(exist_ok=True)
    return Path(client_of(runs).download_artifacts(run, path, str(target))).read_bytes()


def named_places(runs):
    """All places of artifacts that the database names."""
    rows = query(
        runs, "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM experiments"
    )
    return {place for (place,) in rows}


def assert_at_home(runs):
    root = f"{(runs.resolve() / 'artifacts').as_uri()}/"
    assert all(f"{place}/".startswith(root) for place in named_places(runs))


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


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_of_any_name_has_a_store_and_can_be_moved(runs, tmp_path, name):
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    (tmp_path / name).mkdir()
    place = runs.rename(tmp_path / name / name)
    before = sorted(path.name for path in tmp_path.iterdir())
    write_record(place, 1, done=True)
    assert mirror(place, [0, 1]).sync() == 10
    assert_at_home(place)
    run = children(place)[key_of(1)].info.run_id
    assert read_artifact(place, run, "config.json", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    home = place.rename(runs)
    assert mirror(home, [0, 1]).sync() == 0
    assert_at_home(home)


def test_a_new_store_names_nothing_but_its_folder(tmp_path, monkeypatch):
    working = tmp_path / "it's :odd"
    working.mkdir()
    monkeypatch.chdir(working)
    runs = tmp_path / "100%"
    Mirror(runs=runs, sweep="s", experiment="e", profile="p", trials=[]).sync()
    assert_at_home(runs)
    assert query(runs, "SELECT artifact_location FROM experiments WHERE experiment_id = 0") == [
        (f"{(runs / 'artifacts').as_uri()}/0",)
    ]
    assert list(working.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["100%", "it's :odd"]


@pytest.mark.parametrize("name", ["copy", "%41"])
def test_places_that_the_user_chose_stay(written, tmp_path, name):
    client = client_of(written)
    elsewhere = {
        "bucket": "s3://bucket/runs/artifacts",
        "sibling": f"{written}2/artifacts",
        "prefix": (written / "artifacts-of-mine").as_uri(),
    }
    for name, place in elsewhere.items():
        client.create_run(client.create_experiment(name, place))
    below = client.create_experiment("below", str(written / "artifacts" / "mine"))
    of_mine = client.create_run(below).info.run_id
    client.log_text(of_mine, "a text", "note.txt")
    copy = tmp_path / name
    shutil.copytree(written, copy)
    open_store(copy)
    rows = dict(query(copy, "SELECT name, artifact_location FROM experiments"))
    assert {name: rows[name] for name in elsewhere} == elsewhere
    shutil.rmtree(written)
    _artifact_repos_cache.clear()  # of this process, which has read the original
    assert read_artifact(copy, of_mine, "note.txt", tmp_path / "t") == b"a text"


@pytest.mark.parametrize("spelled", [Path.as_uri, str])
def test_an_experiment_that_the_user_made_for_a_sweep_keeps_its_place(runs, tmp_path, spelled):
    chosen = tmp_path / "disk" / "artifacts"
    client_of(runs).create_experiment(EXPERIMENT, spelled(chosen))
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    as_earlier_versions_wrote(runs)
    for _ in range(2):
        moved = runs.rename(tmp_path / "moved")
        assert open_store(moved) is None
        assert spelled(chosen) in named_places(moved)
        runs = moved.rename(runs)
        if chosen.exists():
            chosen.rename(tmp_path / "not mounted")  # the second time its disk is not there


def test_every_place_in_the_database_is_rewritten(written, tmp_path):
    client = client_of(written)
    (parent,) = parents(written)
    experiment, root = parent.info.experiment_id, (written / "artifacts").as_uri()
    model = client.create_logged_model(experiment, "m", parent.info.run_id)
    client.create_registered_model("registered")
    client.create_model_version("registered", model.artifact_location, parent.info.run_id)
    client.set_experiment_tag(experiment, "mine", root)
    for source in (root, str(written / "artifacts" / "d.csv")):
        dataset = Dataset("d", str(len(source)), "local", f'{{"uri": "{source}"}}')
        client.log_inputs(parent.info.run_id, [DatasetInput(dataset)])
    place = TraceLocation.from_experiment_id(experiment)
    _get_store(tracking_uri(written)).start_trace(TraceInfo("tr-1", place, 0, TraceState.OK))
    client.log_batch(parent.info.run_id, params=[Param("path", root)])
    tables = query(written, "SELECT name FROM sqlite_master WHERE type = 'table'")

    def naming(runs):
        """Columns that name the original, with the key of the row where it has one."""
        found = set()
        for (table,) in tables:
            columns = [row[1] for row in query(runs, f'PRAGMA table_info("{table}")')]
            for column in columns:
                key = "key" if "key" in columns and column == "value" else "''"
                text = f'SELECT {key} FROM "{table}" WHERE instr("{column}", ?)'
                found |= {(table, column, name) for (name,) in query(runs, text, str(written))}
        return found

    before = naming(written)
    mine = {("params", "value", "path"), ("experiment_tags", "value", "mine")}
    assert {table for table, _, _ in before - mine} >= {
        *("runs", "experiments", "logged_models", "model_versions", "datasets", "trace_tags")
    }
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    open_store(copy)
    assert naming(copy) == mine


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
    assert f"still follows a sweep of this folder as {written}" in other.problem
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
    following = mirror(moved, [0])
    following.sync()
    (note,) = following.notes()
    assert str(runs / "artifacts") in note
    assert "make that a link" in note
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


def test_an_empty_database_or_another_programs_is_left_as_it_is(tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    with closing(sqlite3.connect(runs / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE mine (a TEXT)")
    assert open_store(runs) is None
    assert query(runs, "SELECT name FROM sqlite_master") == [("mine",)]


def test_runs_of_the_default_experiment_keep_their_place(written):
    as_before = "/tmp/cwd/mlruns/0"
    change(
        written, "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", as_before
    )
    client_of(written).create_run("0")
    open_store(written)
    assert as_before in named_places(written)


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
