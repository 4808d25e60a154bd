"""The measures of a sweep's trials, on a real Ray cluster and a real store."""

import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from sweeps.execution import measuring
from sweeps.planning import plan
from tests.helpers.processes import FACTORLAB

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


def run(folder, *arguments):
    """Run the command line in a folder."""
    return subprocess.run(
        [FACTORLAB, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """A sweep of two trials, analysed again after the representations of one are gone."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "kept.yaml").write_text(EXPERIMENT)
    swept = run(folder, "sweep", "kept.yaml")
    records = [record for _, record in plan.find(folder / "runs", "kept").records()]
    shutil.rmtree(records[1].representations)
    return folder, records, swept, run(folder, "analyse", "kept")


def test_a_sweep_measures_what_its_trials_kept(analysed):
    folder, records, swept, _ = analysed
    assert swept.returncode == 0, swept.stderr
    for seed, record in enumerate(records):
        assert f"seed={seed}: 2 steps measured" in swept.stderr
        assert (record.analysis / "layer4" / "course.png").exists()
    assert (folder / "figures" / "kept" / "accuracy-default.png").exists()  # none was asked for


def test_a_trial_without_representations_is_named_and_the_others_go_on(analysed):
    _, _, _, again = analysed
    assert again.returncode == 1
    assert "seed=1: no representations were stored" in again.stderr
    assert "1 trials are already measured" in again.stderr
    assert "Traceback" not in again.stderr


def test_the_measures_are_in_the_store_once_by_step_with_the_figures(analysed):
    folder, _, _, again = analysed
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as store:
        rows = store.execute(
            "select step, count(*) from metrics where key = 'layer4/dimension' group by step"
        ).fetchall()
    assert sorted(rows) == [(0, 2), (4, 2)]
    assert int(again.stdout) == 0
    artifacts = folder / "runs" / "artifacts"
    assert len(list(artifacts.rglob("spectrum.png"))) == 2
    assert len(list(artifacts.rglob("accuracy-default.png"))) == 1


def test_a_trial_is_found_by_the_start_of_its_key(analysed):
    folder, records, *_ = analysed
    key = records[0].key
    (found,) = measuring.subjects(folder / "runs", key[:10])
    assert found.key == key


@pytest.mark.parametrize(
    ("runs", "said"),
    [("nowhere", "nowhere: the runs folder does not exist"), ("runs", "no sweep of 'other'")],
)
def test_what_is_not_there_is_the_users_mistake(analysed, runs, said):
    ended = run(analysed[0], "analyse", "other", "--runs", runs)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
