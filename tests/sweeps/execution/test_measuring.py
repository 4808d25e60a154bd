"""Measuring the trials of a sweep, on a real Ray cluster and a real store."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from sweeps.execution import measuring
from sweeps.planning import saved_plans
from tests.helpers.experiments import write_experiment
from tests.helpers.processes import factorlab

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """A sweep of two trials, of which one loses its representations, and then its measures."""
    folder = tmp_path_factory.mktemp("kept")
    write_experiment(
        folder / "kept.yaml",
        axes={"seed": [0, 1]},
        training={"steps": 4},
        evaluation={"at": [0]},
        representations={"layers": ["layer4"], "grid": 6},
    )
    swept = factorlab("sweep", "kept.yaml", cwd=folder)
    records = [record for _, record in saved_plans.find(folder / "runs", "kept").records()]
    shutil.rmtree(records[1].representations)
    deleted = factorlab("sweep", "kept.yaml", cwd=folder)
    measures = records[1].analysis.rename(folder / "measures")
    analysed_again = factorlab("analyse", "kept", cwd=folder)
    measures.rename(records[1].analysis)
    return folder, records, swept, deleted, analysed_again


def test_sweep_measures_kept_representations(analysed):
    folder, records, swept, _, _ = analysed
    assert swept.returncode == 0, swept.stderr
    for seed, record in enumerate(records):
        assert f"s{seed}: 2 steps measured" in swept.stderr
        assert (record.analysis / "layer4" / "course.png").exists()
    assert (folder / "figures" / "kept" / "accuracy-default.png").exists()  # the default figure


def test_sweep_needs_no_representations_once_measured(analysed):
    _, _, _, deleted, _ = analysed
    assert deleted.returncode == 0, deleted.stderr
    assert "2 trials are already measured" in deleted.stderr


def test_analyse_names_trial_without_representations(analysed):
    *_, again = analysed
    assert again.returncode == 1
    assert "s1: no representations are stored" in again.stderr
    assert "1 trials are already measured" in again.stderr
    assert "Traceback" not in again.stderr


def test_analyse_sends_measures_and_figures_once(analysed):
    folder, *_, again = analysed
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as store:
        rows = store.execute(
            "select step, count(*) from metrics where key = 'layer4/dimension' group by step"
        ).fetchall()
    assert sorted(rows) == [(0, 2), (4, 2)]
    assert int(again.stdout) == 0
    artifacts = folder / "runs" / "artifacts"
    assert len(list(artifacts.rglob("spectrum.png"))) == 2
    assert len(list(artifacts.rglob("accuracy-default.png"))) == 1


def test_subjects_finds_trial_by_start_of_key(analysed):
    folder, records, *_ = analysed
    key = records[0].key
    (found,) = measuring.subjects(folder / "runs", key[:10])
    assert found.key == key


@pytest.mark.parametrize(
    ("runs", "said"),
    [("nowhere", "nowhere: the runs folder does not exist"), ("runs", "no sweep of 'other'")],
)
def test_analyse_refuses_unknown_folder_or_sweep(analysed, runs, said):
    ended = factorlab("analyse", "other", "--runs", runs, cwd=analysed[0])
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
