"""Runs folders with an MLflow store, which is created once for all tests."""

import pytest

from sweeps.tracking.store import access
from sweeps.tracking.store.uri import uri_of
from tests.helpers.mlflow_runs import (
    copy_store,
    downgrade_folder,
    execute,
    sync_of,
    write_record,
)


@pytest.fixture
def no_server(monkeypatch, tmp_path):
    """No tracking server; the test runs in its own working folder, which gets no `mlruns`."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "mlruns").exists()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store without experiments; creating one takes MLflow several seconds."""
    runs = tmp_path_factory.mktemp("empty")
    access.open_folder(runs, uri_of(runs))
    execute(runs, "DELETE FROM experiment_tags")  # forget the folder
    return runs / "mlflow.db"


@pytest.fixture
def runs(tmp_path, empty_store):
    """A runs folder with its own store."""
    folder = tmp_path / "runs"
    folder.mkdir()
    copy_store(empty_store, folder / "mlflow.db")
    yield folder
    access.close()  # connections of the clients of the test


@pytest.fixture(params=["now", "earlier versions"])
def synced(runs, request):
    """A synced runs folder with a finished and an unfinished run, pictures and a figure."""
    for number in (0, 1):
        record = write_record(runs, number, done=number == 0)
        (record.samples / "step-0000000000.png").write_bytes(b"picture %d" % number)
    sync = sync_of(runs, [0, 1])
    sync.sync()
    figures = runs.parent / "figures"
    figures.mkdir()
    (figures / "f.png").write_bytes(b"of the original")
    sync.log_figures([figures / "f.png"])
    if request.param == "earlier versions":
        downgrade_folder(runs)
    return runs
