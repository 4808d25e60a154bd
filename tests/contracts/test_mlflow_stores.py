"""Contract of MLflow stores: every kind shows the same runs, each point once."""

from pathlib import Path

import pytest

from factorlab.storage.record import Record
from sweeps.tracking.store import access
from tests.helpers.mlflow_runs import client_of, finish, key_of, sync_of, write_record
from tests.helpers.mlflow_stores import STORES


@pytest.fixture(scope="module", params=STORES)
def store(request, tmp_path_factory):
    with STORES[request.param](tmp_path_factory.mktemp("store")) as uri:
        yield uri


@pytest.fixture
def runs(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "runs"
    access.close()


def names_of(runs):
    """An experiment and a sweep of its own, since tests share a store."""
    name = runs.parent.name
    return {"experiment": name, "sweep": f"{name}_smoke"}


def shown(runs):
    """The parent run of the experiment, and its child runs by key."""
    client = client_of(runs)
    experiment = client.get_experiment_by_name(names_of(runs)["experiment"])
    found = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in found if run.data.tags["factorlab.role"] == "sweep")
    trials = [run for run in found if run.data.tags["factorlab.role"] == "trial"]
    by_key = {run.data.tags["factorlab.key"]: run for run in trials}
    assert len(by_key) == len(trials)
    return parent, by_key


def test_store_shows_every_point_once_and_how_runs_ended(runs):
    names = names_of(runs)
    write_record(runs, 0, done=True)
    write_record(runs, 1)
    Record(runs, key_of(1)).write_failure("loss is nan", 40)
    write_record(runs, 2)
    with write_record(runs, 3).lease():
        first = sync_of(runs, range(4), **names)
        assert first.sync() == 4 * 2 * 5  # runs, metrics, steps
        assert first.problem is None
        assert sync_of(runs, range(4), **names).sync() == 0
    parent, found = shown(runs)
    ended = {key: run.info.status for key, run in found.items()}
    assert ended == {
        key_of(0): "FINISHED",
        key_of(1): "FAILED",
        key_of(2): "KILLED",
        key_of(3): "RUNNING",
    }
    client = client_of(runs)
    for number in range(4):
        points, _ = Record(runs, key_of(number)).points()
        run = found[key_of(number)].info.run_id
        for name in ("loss", "accuracy"):
            history = [(m.step, m.value) for m in client.get_metric_history(run, name)]
            assert sorted(history) == [(point.step, point.metrics[name]) for point in points]
    assert parent.info.status == "RUNNING"
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {parent.info.run_id}


def test_store_shows_artifacts_and_resumed_runs(runs, tmp_path):
    names = names_of(runs)
    record = write_record(runs, 0)
    (record.samples / "step-0000000000.png").write_bytes(b"a picture")
    sync_of(runs, [0], **names).sync()
    write_record(runs, 0, range(50, 70, 10))
    finish(record)
    following = sync_of(runs, [0], **names)
    assert following.sync() == 2 * 2
    (tmp_path / "figure.png").write_bytes(b"a figure")
    following.log_figures([tmp_path / "figure.png"])
    assert following.problem is None
    client, (parent, found) = client_of(runs), shown(runs)
    run = found[key_of(0)]
    assert run.info.status == "FINISHED"
    for owner, path, content in (
        (run, "samples/step-0000000000.png", b"a picture"),
        (parent, "figures/figure.png", b"a figure"),
    ):
        (tmp_path / "target").mkdir(exist_ok=True)
        got = client.download_artifacts(owner.info.run_id, path, str(tmp_path / "target"))
        assert Path(got).read_bytes() == content
