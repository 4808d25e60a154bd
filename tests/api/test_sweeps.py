"""Sweeps that are run and compared."""

import json
import shutil

import pytest

import factorlab.api as fl
from factorlab.errors import UserError
from sweeps.planning import saved_plans
from tests.api.synthetic_records import HOLES, changed


def test_sweep_of_a_finished_experiment_returns_its_frame(records, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    for part in ("trials", "sweeps"):
        (runs / part).mkdir(parents=True)
    plan = saved_plans.find(records, "holes")
    for key in plan.keys:
        shutil.copytree(records / "trials" / key, runs / "trials" / key)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    monkeypatch.chdir(tmp_path)
    content = changed(HOLES, figures=[{"name": "accuracy", "draw": "curves"}])
    frame = fl.sweep(content, runs=runs, figures=tmp_path / "figures")
    assert (frame["state"] == "done").all()
    assert set(frame["key"]) == set(plan.keys)
    assert (tmp_path / "figures" / "holes" / "accuracy-default.png").exists()
    fewer = fl.sweep(content, runs=runs, overrides={"seed": [1]}, figures=tmp_path / "figures")
    assert set(fewer["seed"]) == {1}
    assert saved_plans.saved(runs)[0].overrides == {"seed": [1]}


@pytest.mark.parametrize(
    ("experiment", "options", "message"),
    [
        ("scalling", {}, "no experiment 'scalling'.*did you mean 'scaling'"),
        ({"name": "Mine"}, {}, "experiment: name = 'Mine'"),
        ({"name": "mine", "basis": {}}, {}, "experiment: unknown key 'basis'"),
        (HOLES, {"profile": "laptop"}, "no profile 'laptop'"),
        (HOLES, {"overrides": {"data.sizes": 3}}, "data.sizes"),
        (HOLES, {"address": "ray://host:1"}, "Ray Client is only for the command"),
    ],
)
def test_mistakes_are_named_before_anything_starts(experiment, options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        fl.sweep(experiment, runs=tmp_path / "runs", figures=tmp_path / "figures", **options)
    assert not (tmp_path / "runs" / "trials").exists()


def test_compare_pairs_runs_of_two_profiles(runs):
    found = fl.compare("scaling_laptop", "scaling_smoke")
    assert len(found.pairs) == 28
    assert len(found.cells) == 14
    settings = found.settings.set_index("setting")
    assert settings.loc["training.steps", ["values_a", "values_b"]].tolist() == [(900,), (300,)]
    assert set(settings.index) == {"data.family", "data.size", "training.steps"}
    frame = fl.load("scaling_laptop")
    bumps = frame[(frame["data.family"] == "bump") & (frame["data.size"] < 16)]
    # The law of the records: short training has 0.8 times the accuracy.
    assert found.difference == pytest.approx(-0.2 * bumps["accuracy"].mean())
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.p_value == pytest.approx(2 / 2**4)  # two seeds and two N
    assert (found.cells["low"] <= found.cells["difference"]).all()
    assert len(found.only_a) == 84 - 28
    assert found.only_b.empty
    assert "56 runs are only in A." in repr(found)


def test_compare_of_two_folders_says_what_is_identical(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "copy")
    found = fl.compare("holes", "holes", runs_b=tmp_path / "copy")
    assert "All 4 pairs with the same key have bit-identical weights." in found.summary
    assert found.settings.empty
    assert (found.cells[["difference", "low", "high"]] == 0).all(axis=None)
    json.dumps(found.cells.to_dict())
    with pytest.raises(UserError, match="are both holes_default"):
        fl.compare("holes", "holes")
