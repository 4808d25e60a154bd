"""A store of MLflow, made once for all tests that need one."""

import pytest

from sweeps.tracking.store import access
from sweeps.tracking.store.uri import uri_of
from tests.helpers.mlflow_runs import (
    as_earlier_versions_wrote,
    change,
    copy_store,
    mirror,
    write_record,
)


@pytest.fixture
def no_server(monkeypatch, tmp_path):
    """No store but the one of the runs folder, and a working folder of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "mlruns").exists()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store without experiments; making one takes MLflow several seconds."""
    runs = tmp_path_factory.mktemp("empty")
    access.open_folder(runs, uri_of(runs))
    change(runs, "DELETE FROM experiment_tags")  # whose folder it was
    return runs / "mlflow.db"


@pytest.fixture
def runs(tmp_path, empty_store):
    """A runs folder with a store of its own."""
    folder = tmp_path / "runs"
    folder.mkdir()
    copy_store(empty_store, folder / "mlflow.db")
    yield folder
    access.close()  # what the test's own clients have opened


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
