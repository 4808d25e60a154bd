"""Measuring the trials of a sweep, on a real Ray cluster and a real store; what is measured."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from factorlab.errors import UserError
from sweeps.execution import measuring
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from tests.helpers.experiments import write_experiment
from tests.helpers.processes import factorlab


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


@pytest.mark.slow
def test_sweep_measures_kept_representations(analysed):
    folder, records, swept, _, _ = analysed
    assert swept.returncode == 0, swept.stderr
    for seed, record in enumerate(records):
        assert f"s{seed}: 2 steps measured" in swept.stderr
        assert (record.analysis / "layer4" / "course.png").exists()
    assert (folder / "figures" / "kept" / "accuracy-default.png").exists()  # the default figure


@pytest.mark.slow
def test_sweep_needs_no_representations_once_measured(analysed):
    _, _, _, deleted, _ = analysed
    assert deleted.returncode == 0, deleted.stderr
    assert "2 trials are already measured" in deleted.stderr


@pytest.mark.slow
def test_analyse_names_trial_without_representations(analysed):
    *_, again = analysed
    assert again.returncode == 1
    assert "s1: no representations are stored" in again.stderr
    assert "1 trials are already measured" in again.stderr
    assert "Traceback" not in again.stderr


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runs", "said"),
    [("nowhere", "nowhere: the runs folder does not exist"), ("runs", "no sweep of 'other'")],
)
def test_analyse_refuses_unknown_folder_or_sweep(analysed, runs, said):
    ended = factorlab("analyse", "other", "--runs", runs, cwd=analysed[0])
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


# What to measure

KEYS = ["2d" + "0" * 62, "ab" + "0" * 62, "ab" + "1" * 62]


@pytest.fixture
def planned(tmp_path):
    """Return the plan of an experiment `2d`, in a folder with other records."""
    path = write_experiment(tmp_path / "2d.yaml", axes={"seed": [0, 1]})
    made = plan.make(load(str(path)), tmp_path / "runs")
    saved_plans.save(made)
    for key in KEYS:
        (made.runs / "trials" / key).mkdir(parents=True)
    return made


@pytest.mark.parametrize("name", ["2d", "2d_default"])
def test_subjects_prefers_name_of_sweep_to_start_of_key(planned, name):
    assert [one.key for one in measuring.subjects(planned.runs, name)] == planned.keys


def test_subjects_finds_trial_by_start_of_key(planned):
    assert [one.key for one in measuring.subjects(planned.runs, "2d0")] == KEYS[:1]
    assert [one.key for one in measuring.subjects(planned.runs, KEYS[2])] == KEYS[2:]


@pytest.mark.parametrize(
    ("name", "profile", "said"),
    [
        ("ab", None, "2 keys start with 'ab'; give a longer prefix"),
        ("2d", "typo", "no sweep of '2d' with profile 'typo'"),
        ("f", None, "no sweep of 'f'; known sweeps: 2d_default"),
        ("", None, "no sweep of ''; known sweeps: 2d_default"),
    ],
)
def test_subjects_refuses_ambiguous_or_unknown_name(planned, name, profile, said):
    with pytest.raises(UserError, match=said):
        measuring.subjects(planned.runs, name, profile)
