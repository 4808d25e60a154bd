"""`factorlab sync`: all sweeps of a runs folder, including those without a plan."""

import io
import shutil

import pytest
from rich.console import Console

from factorlab.errors import UserError
from factorlab.storage.files import write_json
from factorlab.storage.record import Record
from sweeps.tracking import sync_command
from tests.helpers.mlflow_runs import (
    SWEEP,
    all_runs,
    child_runs,
    execute,
    finish,
    key_of,
    parent_runs,
    sync_of,
    write_record,
)
from tests.helpers.processes import factorlab

pytestmark = pytest.mark.usefixtures("no_server")

NAME = "squares_smoke"


def write_plan(runs, sweep, numbers):
    """Write the plan of a sweep with these trials."""
    folder = runs / "sweeps" / sweep
    folder.mkdir(parents=True, exist_ok=True)
    trials = [{"key": key_of(n), "name": f"seed={n}", "settings": {"seed": n}} for n in numbers]
    names = {"experiment": "squares", "profile": "smoke", "sweep": sweep, "source": "a.yaml"}
    write_json(folder / "plan.json", {**names, "figures": [], "planned": 1.0, "trials": trials})
    return folder / "plan.json"


@pytest.mark.parametrize("gone", ["plan", "folder", "damaged"])
def test_sync_settles_runs_without_plan(runs, tmp_path, gone):
    write_record(runs, 0)
    write_record(runs, 1)
    path = write_plan(runs, NAME, [0, 1])
    sync_of(runs, [0, 1], sweep=NAME).sync()
    sync_of(runs, [0], sweep=f"{NAME}_0123abcd").sync()  # with other overrides
    write_plan(runs, f"{NAME}_0123abcd", [0])
    execute(runs, "UPDATE runs SET status = 'RUNNING'")
    finish(Record(runs, key_of(0)))
    if gone == "damaged":
        path.write_text(path.read_text()[:90])
    elif gone == "plan":
        path.unlink()
    else:
        shutil.rmtree(path.parent)
    ended = factorlab("sync", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert f"{NAME} (plan missing or damaged): 0 metric points sent" in ended.stderr
    found = child_runs(runs, NAME)
    assert [found[key_of(n)].info.status for n in (0, 1)] == ["FINISHED", "KILLED"]
    by_sweep = {run.data.tags["factorlab.sweep"]: run.info.status for run in parent_runs(runs)}
    assert by_sweep == {NAME: "KILLED", f"{NAME}_0123abcd": "FINISHED"}
    again = factorlab("sync", cwd=tmp_path)
    assert "plan missing" not in again.stderr
    assert len(all_runs(runs)) == 5


@pytest.mark.parametrize(
    ("folder", "said"), [("typo", "the runs folder does not exist"), ("other", "contains no sweep")]
)
def test_sync_refuses_other_folders(tmp_path, folder, said):
    (tmp_path / "other").mkdir()
    ended = factorlab("sync", "--runs", folder, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert f"factorlab: {folder}: {said}" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_sync_reports_moved_folder_once(runs, tmp_path):
    write_record(runs, 0, done=True)
    write_plan(runs, SWEEP, [0])
    sync_of(runs, [0]).sync()
    moved = runs.rename(tmp_path / "moved")
    ended = factorlab("sync", "--runs", "moved", cwd=tmp_path)
    assert ended.returncode == 0
    assert f"{moved}: the folder was moved or copied from {runs}" in ended.stderr
    assert ended.stdout == "0\n"
    assert "moved or copied" not in factorlab("sync", "--runs", "moved", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("a.yaml: search.metric = x: unknown"), "a.yaml: search.metric = x: unknown"),
        (KeyError("metric"), "KeyError: 'metric'"),
    ],
)
def test_sync_says_why_a_sweep_cannot_be_sent(runs, monkeypatch, error, said):
    def refuse(_plan):
        raise error

    write_plan(runs, NAME, [0])
    monkeypatch.setattr(sync_command, "mlflow_sync_of", refuse)
    console = Console(file=io.StringIO(), width=200)
    assert sync_command.synchronise(runs, console) == (0, 1)
    assert console.file.getvalue() == f"{NAME}: {said}\n"
