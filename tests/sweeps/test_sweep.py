"""A sweep on a real Ray cluster and a real store: killed, interrupted, finished, repeated."""

import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
import torch

from analysis.tables.loading import trials_table
from factorlab.storage.record import Record
from factorlab.trial import Trial
from sweeps.planning import saved_plans
from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.processes import PATIENCE, factorlab, running, wait_for

AXES = {
    "data.family": ["bump", "bump+stripes"],
    "data.size": [6, 7],
    "data.subsample": [0.05, 0.5],
}


def write(folder, *, axes=AXES, figures=None, keep=4):
    """Write an experiment of trials that take about a second each, one after the other."""
    return write_experiment(
        folder / "tiny.yaml",
        axes=axes,
        figures=figures,
        resources={"pack": 1},
        data={"spacing": 0.5},
        diffusion={"sampling_steps": 3},
        training={"steps": 150, "batch_size": 8, "log_every": 10, "checkpoint_every": 20},
        evaluation={"samples": 16, "loss_samples": 16, "every": 50, "keep": keep},
    )


def sweeping(folder):
    """Run the sweep while a block runs, in a session of its own."""
    return running("sweep", "tiny.yaml", cwd=folder, start_new_session=True)


def results(folder):
    """Return every result file with its modification time."""
    return {p: p.stat().st_mtime_ns for p in folder.glob("runs/trials/*/result.json")}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep that was killed, then interrupted, then run to its end, then run again."""
    folder = tmp_path_factory.mktemp("sweep")
    write(folder)
    story = {"folder": folder}

    with sweeping(folder) as driver:
        wait_for(lambda: len(results(folder)) >= 1)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
    story["after kill"] = results(folder)
    keys = [p.name for p in folder.glob("runs/trials/*")]
    # Workers without a driver end by themselves, which frees their leases.
    wait_for(lambda: all(Record(folder / "runs", key).state() != "running" for key in keys))

    with sweeping(folder) as driver:
        before = len(results(folder))
        wait_for(lambda: len(results(folder)) > before)
        os.killpg(driver.pid, signal.SIGINT)  # as Ctrl-C in a terminal does, to the whole group
        _, story["interrupted"] = driver.communicate(timeout=PATIENCE)
    story["interrupted status"] = driver.returncode
    story["after interrupt"] = results(folder)
    story["states after interrupt"] = [Record(folder / "runs", key).state() for key in keys]

    with sweeping(folder) as driver:
        _, story["finished"] = driver.communicate(timeout=PATIENCE)
    story["finished status"] = driver.returncode
    story["after finish"] = results(folder)

    write(folder, figures=["scaling"])
    with sweeping(folder) as driver:
        _, story["again"] = driver.communicate(timeout=PATIENCE)
    story["after again"] = results(folder)
    write(folder)
    return story


def test_sweep_killed_keeps_finished_trials(swept):
    assert swept["after kill"].items() <= swept["after finish"].items()


def test_sweep_interrupted_can_be_resumed(swept):
    assert swept["interrupted status"] == 130, swept["interrupted"]
    assert swept["interrupted"].count("stopping: workers save checkpoints") == 1
    assert "run the same command again to resume" in swept["interrupted"]
    assert "Traceback" not in swept["interrupted"]
    assert "running" not in swept["states after interrupt"]
    assert swept["after interrupt"].items() <= swept["after finish"].items()


def test_sweep_resumed_ends_complete(swept):
    assert swept["finished status"] == 0, swept["finished"]
    assert len(swept["after finish"]) == 8


def test_sweep_finished_trains_nothing(swept):
    assert "nothing left to train" in swept["again"]
    assert swept["after again"] == swept["after finish"]


def test_sweep_bit_identical_to_single_trial(swept, tmp_path):
    torch.set_num_threads(1)
    planned = saved_plans.find(swept["folder"] / "runs", "tiny")
    trial = planned.trials[0]
    alone = Trial(trial.run, tmp_path)
    for _ in alone.run():
        pass
    swept_result = planned.record(trial).result()
    assert alone.record.result()["weights_sha256"] == swept_result["weights_sha256"]
    assert alone.record.result()["metrics"] == swept_result["metrics"]


def test_sweep_sends_every_point_once(swept):
    runs = swept["folder"] / "runs"
    records = [Record(runs, folder.name) for folder in (runs / "trials").iterdir()]
    journals = 0
    for record in records:
        points = {point.step: point.metrics for point in record.points()[0]}
        evaluated = record.result()["metrics"].keys()  # of the last line, which has all metrics
        assert list(points) == list(range(10, 151, 10))
        for step, metrics in points.items():
            due = evaluated if step % 50 == 0 else {"loss", "learning_rate"}
            assert metrics.keys() == due
            journals += len(due)
    with closing(sqlite3.connect(runs / "mlflow.db")) as store:
        (stored,) = store.execute("select count(*) from metrics").fetchone()
        parents = store.execute(
            "select value, count(*) from tags where key = 'mlflow.parentRunId' group by value"
        ).fetchall()
        statuses = store.execute("select status, count(*) from runs group by status").fetchall()
    assert stored == journals
    assert [count for _, count in parents] == [8]
    assert statuses == [("FINISHED", 9)]


def test_sweep_draws_figures_with_their_data(swept):
    folder = swept["folder"] / "figures" / "tiny"
    names = {p.name for p in folder.iterdir()}
    assert {"scaling-default.png", "scaling-default.pdf", "report-default.html"} <= names
    trials = pd.read_csv(folder / "scaling-default-trials.csv")
    assert len(trials) == 8


def test_sweep_and_status_name_damaged_files(swept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(swept["folder"], folder)

    def said(*arguments):
        ended = factorlab(*arguments, cwd=folder)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout, ended.stderr

    plan_file = next(folder.glob("runs/sweeps/*/plan.json"))
    name, record = next(saved_plans.find(folder / "runs", "tiny").records())
    lines = record.journal.read_bytes().splitlines(keepends=True)
    record.journal.write_bytes(b"".join([*lines[:2], lines[2][:-9], *lines[3:]]))
    _, shown, _ = said("sweep", "tiny.yaml", "--dry-run")
    assert "7 already done, 1 damaged (will be trained again)" in shown
    assert f"damaged: {name}: runs/trials/{record.key}/metrics.jsonl: " in shown
    assert json.loads(said("status", "tiny", "--json")[1])["damaged"] == 1
    plan_file.write_bytes(plan_file.read_bytes()[:-50])
    status, _, complaint = said("status", "tiny")
    assert status == 2
    assert f"{plan_file.relative_to(folder)}: incomplete, or not a JSON document" in complaint


def test_sweep_trains_beside_record_that_cannot_be_read(swept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(swept["folder"], folder)
    plan = saved_plans.find(folder / "runs", "tiny")
    (name, unreadable), (_, removed), *_ = plan.records()
    before = removed.result()["metrics"]
    shutil.rmtree(removed.path)
    (unreadable.path / "result.json").unlink()
    (unreadable.path / "result.json").mkdir()
    problem = f"runs/trials/{unreadable.key}/result.json: Is a directory"

    ended = factorlab("sweep", "tiny.yaml", cwd=folder)

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "6 already done, 1 unreadable (will be tried again), 1 new" in ended.stderr
    assert f"unreadable: {name}: {problem}" in ended.stderr
    assert f"not trained: {name}: {folder / problem}" in ended.stderr
    assert removed.result()["metrics"] == before
    status = json.loads(factorlab("status", "tiny", "--json", cwd=folder).stdout)
    assert (status["done"], status["unreadable"]) == (7, 1)
    assert status["problems"] == {name: f"unreadable: {problem}"}
    assert f"unreadable: {name}: {problem}" in factorlab("status", "tiny", cwd=folder).stdout
    assert factorlab("figures", "tiny", cwd=folder).returncode == 0
    assert factorlab("export", "tiny", "out.csv", cwd=folder).returncode == 0
    table = pd.read_csv(folder / "out.csv").set_index("key")
    assert list(table["state"]).count("done") == 7
    assert table.loc[unreadable.key, "state"] == "unreadable"


def test_trials_table_and_export_hold_every_trial(swept):
    folder = swept["folder"]
    keys = saved_plans.find(folder / "runs", "tiny").keys
    table = trials_table(folder / "runs", keys)
    assert list(table["key"]) == keys
    assert (table["state"] == "done").all()
    for name in ("out.parquet", "out.csv"):
        assert factorlab("export", "tiny", name, cwd=folder).returncode == 0
    parquet, csv = pd.read_parquet(folder / "out.parquet"), pd.read_csv(folder / "out.csv")
    for exported in (parquet, csv):
        assert list(exported["key"]) == keys
        assert exported["accuracy"].to_list() == table["accuracy"].to_list()


def test_status_counts_trials(swept):
    status = json.loads(factorlab("status", "tiny", "--json", cwd=swept["folder"]).stdout)
    assert (status["done"], status["failed"], status["new"]) == (8, 0, 0)


def test_sweep_trains_only_new_trials_and_names_failures(swept):
    folder = swept["folder"]
    command = ["sweep", "tiny.yaml", "--set", "data.size=6", "--set", "data.subsample=0.05"]
    command += ["--set", "training.learning_rate=1e30"]
    before = results(folder)
    ended = factorlab(*command, cwd=folder)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.count("failed: N6 ") == 2
    assert "loss is" in ended.stderr
    assert results(folder) == before
    again = factorlab(*command, cwd=folder)
    assert "nothing left to train" in again.stderr
    assert again.returncode == 1


@pytest.mark.slow
def test_sweep_takes_up_trial_once_released(tmp_path):
    path = write(tmp_path, axes={"data.subsample": [0.05, 0.5]}, keep=0)
    held, other = records_of(path, tmp_path / "runs")
    with running("sweep", "tiny.yaml", cwd=tmp_path) as driver:
        with held.lease():
            wait_for(other.journal.exists)
        _, messages = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, messages
    assert len(results(tmp_path)) == 2
