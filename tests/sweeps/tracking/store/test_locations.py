"""Artifact locations in a store: which are rewritten when the folder moves, and which stay."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Param,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache, _get_store

from sweeps.tracking.mlflow_sync import MlflowSync, open_store, tracking_uri
from tests.helpers.mlflow_runs import (
    EXPERIMENT,
    artifact_locations,
    assert_artifacts_inside,
    child_runs,
    client_of,
    downgrade_folder,
    execute,
    key_of,
    parent_runs,
    query,
    read_artifact,
    sync_of,
    write_record,
)

pytestmark = pytest.mark.usefixtures("no_server")

ODD_NAMES = ["a b", "ü€", "100%", "%41", "c#d", "q?x", "x&y=z;w", "it's", "k:l"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_relocate_folder_of_any_name(runs, tmp_path, name):
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    (tmp_path / name).mkdir()
    place = runs.rename(tmp_path / name / name)
    before = sorted(path.name for path in tmp_path.iterdir())
    write_record(place, 1, done=True)
    assert sync_of(place, [0, 1]).sync() == 10
    assert_artifacts_inside(place)
    run = child_runs(place)[key_of(1)].info.run_id
    assert read_artifact(place, run, "config.json", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    home = place.rename(runs)
    assert sync_of(home, [0, 1]).sync() == 0
    assert_artifacts_inside(home)


def test_relocate_new_store_names_only_its_folder(tmp_path, monkeypatch):
    working = tmp_path / "it's :odd"
    working.mkdir()
    monkeypatch.chdir(working)
    runs = tmp_path / "100%"
    MlflowSync(runs=runs, sweep="s", experiment="e", profile="p", trials=[]).sync()
    assert_artifacts_inside(runs)
    assert query(runs, "SELECT artifact_location FROM experiments WHERE experiment_id = 0") == [
        (f"{(runs / 'artifacts').as_uri()}/0",)
    ]
    assert list(working.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["100%", "it's :odd"]


@pytest.mark.parametrize("name", ["copy", "%41"])
def test_relocate_keeps_user_chosen_places(synced, tmp_path, name):
    client = client_of(synced)
    elsewhere = {
        "bucket": "s3://bucket/runs/artifacts",
        "sibling": f"{synced}2/artifacts",
        "prefix": (synced / "artifacts-of-mine").as_uri(),
    }
    for experiment, place in elsewhere.items():
        client.create_run(client.create_experiment(experiment, place))
    below = client.create_experiment("below", str(synced / "artifacts" / "mine"))
    of_mine = client.create_run(below).info.run_id
    client.log_text(of_mine, "a text", "note.txt")
    copy = tmp_path / name
    shutil.copytree(synced, copy)
    open_store(copy)
    rows = dict(query(copy, "SELECT name, artifact_location FROM experiments"))
    assert rows | elsewhere == rows
    shutil.rmtree(synced)
    _artifact_repos_cache.clear()  # this process has read the original
    assert read_artifact(copy, of_mine, "note.txt", tmp_path / "t") == b"a text"


@pytest.mark.parametrize("spelled", [Path.as_uri, str])
def test_relocate_keeps_place_of_users_experiment(runs, tmp_path, spelled):
    chosen = tmp_path / "disk" / "artifacts"
    chosen.mkdir(parents=True)
    client_of(runs).create_experiment(EXPERIMENT, spelled(chosen))
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    downgrade_folder(runs)
    for _ in range(2):
        moved = runs.rename(tmp_path / "moved")
        assert open_store(moved) is None
        assert spelled(chosen) in artifact_locations(moved)
        runs = moved.rename(runs)
        if chosen.exists():
            chosen.rename(tmp_path / "not mounted")  # the second time its disk is not mounted


def test_relocate_rewrites_every_place(synced, tmp_path):
    client = client_of(synced)
    (parent,) = parent_runs(synced)
    experiment, root = parent.info.experiment_id, (synced / "artifacts").as_uri()
    model = client.create_logged_model(experiment, "m", parent.info.run_id)
    client.create_registered_model("registered")
    client.create_model_version("registered", model.artifact_location, parent.info.run_id)
    client.set_experiment_tag(experiment, "mine", root)
    for source in (root, str(synced / "artifacts" / "d.csv")):
        dataset = Dataset("d", str(len(source)), "local", f'{{"uri": "{source}"}}')
        client.log_inputs(parent.info.run_id, [DatasetInput(dataset)])
    place = TraceLocation.from_experiment_id(experiment)
    _get_store(tracking_uri(synced)).start_trace(TraceInfo("tr-1", place, 0, TraceState.OK))
    client.log_batch(parent.info.run_id, params=[Param("path", root)])
    tables = query(synced, "SELECT name FROM sqlite_master WHERE type = 'table'")

    def naming(runs):
        """Return the columns that name the original, with the key of the row if it has one."""
        found = set()
        for (table,) in tables:
            columns = [row[1] for row in query(runs, f'PRAGMA table_info("{table}")')]
            for column in columns:
                key = "key" if "key" in columns and column == "value" else "''"
                text = f'SELECT {key} FROM "{table}" WHERE instr("{column}", ?)'
                found |= {(table, column, name) for (name,) in query(runs, text, str(synced))}
        return found

    before = naming(synced)
    mine = {("params", "value", "path"), ("experiment_tags", "value", "mine")}
    assert {table for table, _, _ in before - mine} >= {
        *("runs", "experiments", "logged_models", "model_versions", "datasets", "trace_tags")
    }
    copy = tmp_path / "copy"
    shutil.copytree(synced, copy)
    open_store(copy)
    assert naming(copy) == mine


def test_relocate_keeps_place_of_default_runs(synced):
    as_before = "/tmp/cwd/mlruns/0"
    execute(
        synced, "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", as_before
    )
    client_of(synced).create_run("0")
    open_store(synced)
    assert as_before in artifact_locations(synced)


def test_relocate_leaves_foreign_database(tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    with closing(sqlite3.connect(runs / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE mine (a TEXT)")
    assert open_store(runs) is None
    assert query(runs, "SELECT name FROM sqlite_master") == [("mine",)]
