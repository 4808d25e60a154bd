"""The measures of a sweep's trials, on a real Ray cluster and a real store."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from factorlab.trial import Trial
from sweeps import analyse, plan
from sweeps.experiment import load

FACTORLAB = str(Path(sys.executable).parent / "factorlab")
EXPERIMENT = """
name: kept
base:
  data: {size: 6, spacing: 0.5}
  model: {width: 4, encoding: 8}
  diffusion: {prediction: v, sampling_steps: 2}
  training: {steps: 4, batch_size: 4}
  evaluation: {samples: 4, loss_samples: 4, keep: 0, at: [0]}
  representations: {layers: [layer4], grid: 6}
axes:
  seed: [0, 1]
"""


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """Two trials, one whose representations are gone, analysed twice."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "kept.yaml").write_text(EXPERIMENT)
    made = plan.make(load(str(folder / "kept.yaml")), folder / "runs")
    trials = [Trial(trial.settings, folder / "runs") for trial in made.trials]
    for trial in trials:
        list(trial.run())
    plan.save(made)
    shutil.rmtree(trials[1].record.representations)
    runs = [
        subprocess.run(
            [FACTORLAB, "analyse", "kept"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        for _ in range(2)
    ]
    return folder, trials, runs


def test_a_trial_without_representations_is_named_and_the_others_go_on(analysed):
    _, _, (first, again) = analysed
    assert first.returncode == again.returncode == 1
    assert "seed=1: no representations were kept" in first.stderr
    assert "seed=0: 2 steps measured" in first.stderr
    assert "1 trials were measured before" in again.stderr
    assert "Traceback" not in first.stderr


def test_the_measures_are_in_the_store_once_by_step_with_the_figures(analysed):
    folder, trials, (first, again) = analysed
    with sqlite3.connect(folder / "runs" / "mlflow.db") as store:
        rows = store.execute(
            "select step, count(*) from metrics where key = 'layer4/dimension' group by step"
        ).fetchall()
    assert sorted(rows) == [(0, 1), (4, 1)]
    assert int(first.stdout) > 0
    assert int(again.stdout) == 0
    assert len(list((folder / "runs" / "artifacts").rglob("spectrum.png"))) == 1
    assert (trials[0].record.analysis / "layer4" / "course.png").exists()


def test_a_trial_is_found_by_the_start_of_its_key(analysed):
    folder, trials, _ = analysed
    key = trials[0].identity.key
    (found,) = analyse.subjects(folder / "runs", key[:10])
    assert found.key == key


@pytest.mark.parametrize("runs", ["nowhere", "runs"])
def test_what_is_not_there_is_the_users_mistake(analysed, runs):
    folder, _, _ = analysed
    ended = subprocess.run(
        [FACTORLAB, "analyse", "other", "--runs", runs],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "no sweep of 'other'" in ended.stderr
    assert "Traceback" not in ended.stderr
