"""A whole sweep on a real Ray cluster and a real store: killed, interrupted, finished, repeated."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing

import pandas as pd
import pytest
import torch

from analysis.tables.loading import trials_table
from factorlab.storage.record import Record
from factorlab.trial import Trial
from sweeps.planning import plan
from sweeps.planning.experiment import load
from tests.helpers.processes import FACTORLAB, running, wait_for

EXPERIMENT = """
name: tiny
base:
  data: {spacing: 0.5, sigma: 1.0}
  model: {width: 4, encoding: 8}
  diffusion: {prediction: v, sampling_steps: 3}
  training: {steps: 150, batch_size: 8, log_every: 10, checkpoint_every: 20}
  evaluation: {samples: 16, loss_samples: 16, every: 50, keep: 4}
axes:
  data.family: [bump, bump+stripes]
  data.size: [6, 7]
  data.subsample: [0.05, 0.5]
resources: {pack: 1}
"""
FIGURES = "figures: [scaling]\n"  # for one of the sweeps: drawing takes seconds


def sweeping(folder):
    """Run the sweep beside a block, in a session of its own."""
    return running("sweep", "tiny.yaml", cwd=folder, start_new_session=True)


def results(folder):
    """Return every result file with the time it was written."""
    return {p: p.stat().st_mtime_ns for p in folder.glob("runs/trials/*/result.json")}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep whose driver was killed, then interrupted, then run to its end, then run again."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "tiny.yaml").write_text(EXPERIMENT)
    story = {"folder": folder}

    with sweeping(folder) as driver:
        wait_for(lambda: len(results(folder)) >= 1)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
    story["after kill"] = results(folder)
    keys = [p.name for p in folder.glob("runs/trials/*")]
    # Workers whose driver is gone end by themselves, and with them their leases.
    wait_for(lambda: all(Record(folder / "runs", key).state() != "running" for key in keys))

    with sweeping(folder) as driver:
        before = len(results(folder))
        wait_for(lambda: len(results(folder)) > before)
        os.killpg(driver.pid, signal.SIGINT)  # as Ctrl-C in a terminal does, to the whole group
        _, story["interrupted"] = driver.communicate(timeout=120)
    story["interrupted status"] = driver.returncode
    story["after interrupt"] = results(folder)
    story["states after interrupt"] = [Record(folder / "runs", key).state() for key in keys]

    with sweeping(folder) as driver:
        _, story["finished"] = driver.communicate(timeout=300)
    story["finished status"] = driver.returncode
    story["after finish"] = results(folder)

    (folder / "tiny.yaml").write_text(EXPERIMENT + FIGURES)
    with sweeping(folder) as driver:
        _, story["again"] = driver.communicate(timeout=120)
    story["after again"] = results(folder)
    (folder / "tiny.yaml").write_text(EXPERIMENT)
    return story


def test_a_killed_driver_loses_no_finished_trial(swept):
    assert swept["after kill"].items() <= swept["after finish"].items()


def test_an_interrupted_sweep_says_how_to_go_on_and_leaves_no_trial_running(swept):
    assert swept["interrupted status"] == 130, swept["interrupted"]
    assert "run the same command again to resume" in swept["interrupted"]
    assert "Traceback" not in swept["interrupted"]
    assert "running" not in swept["states after interrupt"]
    assert swept["after interrupt"].items() <= swept["after finish"].items()


def test_the_sweep_ends_complete(swept):
    assert swept["finished status"] == 0, swept["finished"]
    assert len(swept["after finish"]) == 8


def test_a_finished_sweep_trains_nothing(swept):
    assert "nothing left to train" in swept["again"]
    assert swept["after again"] == swept["after finish"]


def test_a_trial_on_a_worker_has_the_bits_of_one_in_this_process(swept, tmp_path):
    torch.set_num_threads(1)
    planned = plan.find(swept["folder"] / "runs", "tiny")
    trial = planned.trials[0]
    alone = Trial(trial.run, tmp_path)
    for _ in alone.run():
        pass
    swept_result = planned.record(trial).result()
    assert alone.record.result()["weights_sha256"] == swept_result["weights_sha256"]
    assert alone.record.result()["metrics"] == swept_result["metrics"]


def test_every_point_of_the_journals_is_in_mlflow_once(swept):
    runs = swept["folder"] / "runs"
    journals = sum(
        len(point.metrics)
        for folder in (runs / "trials").iterdir()
        for point in Record(runs, folder.name).points()[0]
    )
    with closing(sqlite3.connect(runs / "mlflow.db")) as store:
        (points,) = store.execute("select count(*) from metrics").fetchone()
        parents = store.execute(
            "select value, count(*) from tags where key = 'mlflow.parentRunId' group by value"
        ).fetchall()
        statuses = store.execute("select status, count(*) from runs group by status").fetchall()
    assert points == journals > 8 * 15
    assert [count for _, count in parents] == [8]
    assert statuses == [("FINISHED", 9)]


def test_figures_are_drawn_with_the_numbers_behind_them(swept):
    folder = swept["folder"] / "figures" / "tiny"
    names = {p.name for p in folder.iterdir()}
    assert {"scaling-default.png", "scaling-default.pdf"} <= names
    trials = pd.read_csv(folder / "scaling-default-trials.csv")
    assert len(trials) == 8


def test_a_damaged_file_is_named_in_a_line(swept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(swept["folder"], folder)

    def said(*arguments):
        ended = subprocess.run(
            [FACTORLAB, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout, ended.stderr

    plan_file = next(folder.glob("runs/sweeps/*/plan.json"))
    name, record = next(plan.find(folder / "runs", "tiny").records())
    lines = record.journal.read_bytes().splitlines(keepends=True)
    record.journal.write_bytes(b"".join([*lines[:2], lines[2][:-9], *lines[3:]]))
    _, shown, _ = said("sweep", "tiny.yaml", "--dry-run")
    assert "7 already done, 1 damaged (will be trained again)" in shown
    assert f"damaged: {name}: runs/trials/{record.key}/metrics.jsonl: " in shown
    assert json.loads(said("status", "tiny", "--json")[1])["damaged"] == 1
    plan_file.write_bytes(plan_file.read_bytes()[:-50])
    status, _, complaint = said("status", "tiny")
    assert status == 2
    assert f"{plan_file.relative_to(folder)}: not a whole record" in complaint


def test_the_table_and_its_exports_hold_every_trial(swept):
    folder = swept["folder"]
    keys = plan.find(folder / "runs", "tiny").keys
    table = trials_table(folder / "runs", keys)
    assert list(table["key"]) == keys
    assert (table["state"] == "done").all()
    for name in ("out.parquet", "out.csv"):
        ended = subprocess.run([FACTORLAB, "export", "tiny", name], cwd=folder, check=False)
        assert ended.returncode == 0
    parquet, csv = pd.read_parquet(folder / "out.parquet"), pd.read_csv(folder / "out.csv")
    for exported in (parquet, csv):
        assert list(exported["key"]) == keys
        assert exported["accuracy"].to_list() == table["accuracy"].to_list()


def test_the_status_counts_the_trials(swept):
    ended = subprocess.run(
        [FACTORLAB, "status", "tiny", "--json"],
        cwd=swept["folder"],
        capture_output=True,
        check=True,
    )
    status = json.loads(ended.stdout)
    assert (status["done"], status["failed"], status["new"]) == (8, 0, 0)


def test_a_grown_grid_trains_only_what_is_new_and_a_failing_trial_is_named(swept):
    folder = swept["folder"]
    command = [FACTORLAB, "sweep", "tiny.yaml", "--set", "data.size=6", "--set"]
    command += ["training.learning_rate=1e30", "--set", "data.subsample=0.05"]
    before = results(folder)
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.count("failed: family=") == 2
    assert "loss is" in ended.stderr
    assert results(folder) == before
    again = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "nothing left to train" in again.stderr
    assert again.returncode == 1


def test_a_trial_that_another_process_held_is_taken_up_when_it_is_free(tmp_path):
    (tmp_path / "tiny.yaml").write_text(EXPERIMENT)
    options = ["--set", "data.family=bump", "--set", "data.size=6", "--set", "evaluation.keep=0"]
    chosen = load(
        str(tmp_path / "tiny.yaml"),
        None,
        {"data.family": "bump", "data.size": 6, "evaluation.keep": 0},
    )
    held, other = plan.make(chosen, tmp_path / "runs").trials
    with running("sweep", "tiny.yaml", *options, cwd=tmp_path) as driver:
        with Record(tmp_path / "runs", held.key).lease():
            wait_for(Record(tmp_path / "runs", other.key).journal.exists)
        _, messages = driver.communicate(timeout=120)
    assert driver.returncode == 0, messages
    assert len(results(tmp_path)) == 2
