"""A runs folder with sweeps that follow known laws, and a small one that was trained."""

import pytest

import factorlab.api as fl
from tests.api.synthetic_records import HOLES, fill, make_plan


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """The sweeps `scaling` (two profiles), `torus` and, trained, `holes`."""
    runs = tmp_path_factory.mktemp("api") / "runs"
    fill(runs)
    for trial in make_plan(HOLES, runs).trials:
        fl.run(trial.settings, runs=runs, progress=False)
    return runs


@pytest.fixture
def runs(records, monkeypatch, tmp_path):
    """The same folder as the default, for a test in a working folder of its own."""
    monkeypatch.setenv("FACTORLAB_RUNS", str(records))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    return records
