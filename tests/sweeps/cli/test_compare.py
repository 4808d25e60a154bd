"""`factorlab compare`, on records that follow a known law."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from factorlab.errors import UserError
from sweeps.cli.main import app
from tests.api.synthetic_records import SCALING, changed, law, make_plan, write_finished

SMALL = changed(
    SCALING,
    axes=SCALING["axes"] | {"data.family": ["bump"], "data.size": [8, 12]},
    profiles=SCALING["profiles"] | {"many": {"axes": {"data.size": [8], "seed": [0, 1, 2, 3]}}},
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "runs"
    for profile in ("laptop", "smoke"):
        write_finished(make_plan(SMALL, folder, profile), lambda run, n, _: law(run, n))
    return folder


def invoke(*words):
    found = CliRunner().invoke(app, ["compare", *map(str, words)], env={"COLUMNS": "100"})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.stdout


def test_compare_fits_on_a_screen_and_says_what_differs(runs, tmp_path):
    shown = invoke(
        "scaling_laptop", "scaling_smoke", "--runs", runs, "--csv", tmp_path / "cells.csv"
    )
    lines = shown.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines[:-1])) <= 100
    assert "A: scaling_laptop" in shown
    assert any(line.split() == ["training.steps", "900", "300"] for line in lines)
    assert "... and 2 more cells; --csv FILE has all" in shown
    assert "28 pairs in 14 cells; B is higher in 0" in shown
    cells = pd.read_csv(tmp_path / "cells.csv")
    assert len(cells) == 14
    largest = cells.loc[cells["difference"].abs().idxmax()]
    row = next(line.split() for line in lines if line.split()[-1:] == ["interval"])
    first = lines[[line.split() for line in lines].index(row) + 1].split()
    assert float(first[-3]) == pytest.approx(100 * largest["difference"], abs=0.06)


def test_compare_as_json_is_complete(runs):
    document = json.loads(invoke("scaling_laptop", "scaling_smoke", "--runs", runs, "--json"))
    assert len(document["cells"]) == 14
    assert len(document["pairs"]) == 28
    assert document["settings"] == [
        {"setting": "training.steps", "values_a": [900], "values_b": [300], "swept": False}
    ]
    mean = sum(pair["value_b"] - pair["value_a"] for pair in document["pairs"]) / 28
    assert document["difference"] == pytest.approx(mean)
    assert document["low"] < document["difference"] < document["high"]


def test_compare_of_other_metrics(runs):
    shown = invoke("scaling_laptop", "scaling_smoke", "--runs", runs, "--metric", "train_loss")
    assert "A: train_loss" in shown
    assert "points" not in shown
    with pytest.raises(
        UserError, match=r"metric = 'acc': no finished trial.*allowed: .*train_loss"
    ):
        invoke("scaling_laptop", "scaling_smoke", "--runs", runs, "--metric", "acc")


def test_compare_of_two_folders_finds_the_run_that_differs(runs, tmp_path):
    copy = tmp_path / "runs"
    shutil.copytree(runs, copy)
    plan = make_plan(SMALL, copy, "laptop")
    record = plan.record(plan.trials[0])
    result = {k: v for k, v in record.result().items() if k not in ("key", "journal_sha256")}
    record.write_result(result | {"weights_sha256": "0" * 64, "device": "gpu test"})
    shown = invoke("scaling_laptop", "scaling_laptop", "--runs", runs, "--runs-b", copy)
    assert "28 pairs have the same key; 27 of them have bit-identical weights." in shown
    assert "gpu test" in shown
    assert "accuracy is equal in all 28 pairs" in shown


def test_unfinished_and_missing_sweeps_are_refused(runs, tmp_path):
    copy = tmp_path / "runs"
    shutil.copytree(runs, copy)
    make_plan(SMALL, copy, "many")
    shutil.rmtree(copy / "trials")
    with pytest.raises(UserError, match="no trial of 'scaling_many' is done"):
        invoke("scaling_laptop", "scaling_many", "--runs", runs, "--runs-b", copy)
    with pytest.raises(UserError, match="no sweep of 'other'"):
        invoke("scaling_laptop", "other", "--runs", runs)
    with pytest.raises(UserError, match="are both scaling_smoke"):
        invoke("scaling_smoke", "scaling", "--runs", runs)
