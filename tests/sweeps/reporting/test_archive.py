"""Archives of records: published, unpacked elsewhere, and read without training."""

import dataclasses
import resource
import tarfile
from contextlib import suppress

import pandas as pd
import pytest

from analysis import training_dynamics
from factorlab.errors import TrialFailed, UserError
from factorlab.trial import Trial
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.reporting import reports
from tests.helpers.experiments import write_experiment

RATES = [1e-3, 1e30, 1e-4]
"""Learning rates: the second one fails, and the third one's trial is not trained."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    path = write_experiment(
        folder / "kept.yaml",
        axes={"training.learning_rate": RATES},
        figures=[{"name": name, "draw": name} for name in ("curves", "samples", "views")],
        evaluation={"at": [0, 3], "keep": 2},
        representations={"layers": ["layer4"], "grid": 6},
    )
    made = plan.make(dataclasses.replace(load(str(path)), overrides={}), folder / "runs")
    saved_plans.save(made)
    for trial in made.trials[:2]:
        with suppress(TrialFailed):
            list(Trial(trial.run, folder / "runs").run())
    assert len(list(training_dynamics.analyse(made.record(made.trials[0]), "layer4"))) == 3
    return made, folder


@pytest.fixture(scope="module")
def unpacked(trained, tmp_path_factory):
    made, folder = trained
    path = folder / "kept.tar.xz"
    assert reports.export(made, path) == 2
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with tarfile.open(path) as archive:
        archive.extractall(elsewhere, filter="data")
    return saved_plans.find(elsewhere, "kept")


def test_archive_keeps_states_and_tables(trained, unpacked):
    made, _ = trained
    assert unpacked.state().states == made.state().states
    assert unpacked.state().counts() == {"done": 1, "failed": 1, "new": 1}
    pd.testing.assert_frame_equal(reports.table(unpacked), reports.table(made))
    rows, same = (reports.evaluations(p).drop(columns="record") for p in (made, unpacked))
    pd.testing.assert_frame_equal(rows, same)


def test_archive_has_what_figures_draw(trained, unpacked, tmp_path):
    made, folder = trained
    first, problems = reports.draw(made, folder / "figures")
    second, same = reports.draw(unpacked, tmp_path)
    assert problems == same == []
    assert [path.name for path in first] == [path.name for path in second]
    for one, other in zip(first, second, strict=True):
        if one.suffix == ".csv":
            assert one.read_bytes() == other.read_bytes()


def test_archive_leaves_out_weights_and_locks(unpacked):
    files = {p.relative_to(unpacked.runs) for p in unpacked.runs.rglob("*") if p.is_file()}
    assert {path.suffix for path in files} == {".json", ".jsonl", ".npz"}
    assert not any(path.parts[2:3] in (("checkpoints",), ("representations",)) for path in files)


def test_archive_of_same_records_has_same_bytes(trained, unpacked, tmp_path):
    made, _ = trained
    reports.export(unpacked, tmp_path / "again.tar.xz")
    reports.export(made, tmp_path / "first.tar.xz")
    assert (tmp_path / "again.tar.xz").read_bytes() == (tmp_path / "first.tar.xz").read_bytes()


def test_archive_of_nothing_is_refused(trained, tmp_path):
    made, _ = trained
    empty = plan.make(load(made.source), tmp_path / "runs")
    with pytest.raises(UserError, match="no trial of 'kept_default' has ended"):
        reports.export(empty, tmp_path / "out.tar.xz")
    assert not (tmp_path / "out.tar.xz").exists()


@pytest.mark.parametrize("name", ["kept.csv", "kept.parquet", "kept.tar.xz"])
def test_export_on_a_full_disk_keeps_the_earlier_file(trained, tmp_path, name):
    made, _ = trained
    path = tmp_path / name
    reports.export(made, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises(UserError) as caught:
            reports.export(made, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"{path}: File too large; {path} is not written"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
