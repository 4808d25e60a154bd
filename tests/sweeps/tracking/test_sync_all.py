"""`factorlab sync` in a process of its own: all sweeps, those without a plan as well."""

import shutil

import pytest

from factorlab.storage.files import write_json
from factorlab.storage.record import Record
from sweeps.planning import plan
from sweeps.planning.experiment import load
from sweeps.planning.replaced import replaced
from tests.helpers.mlflow_runs import (
    SWEEP,
    all_runs,
    change,
    children,
    finish,
    key_of,
    mirror,
    parents,
    write_record,
)
from tests.helpers.processes import factorlab

pytestmark = pytest.mark.usefixtures("no_server")

NAME = "squares_smoke"
TEXT = "name: squares\nbase: {data: {size: 6, spacing: 1.0}}\naxes: {seed: [%s]}\n"


def write_plan(runs, sweep, numbers):
    folder = runs / "sweeps" / sweep
    folder.mkdir(parents=True, exist_ok=True)
    trials = [{"key": key_of(n), "name": f"seed={n}", "settings": {"seed": n}} for n in numbers]
    names = {"experiment": "squares", "profile": "smoke", "sweep": sweep, "source": "a.yaml"}
    write_json(folder / "plan.json", {**names, "figures": [], "planned": 1.0, "trials": trials})
    return folder / "plan.json"


@pytest.mark.parametrize("gone", ["plan", "folder", "damaged"])
def test_runs_of_a_sweep_without_a_plan_get_the_end_of_their_record(runs, tmp_path, gone):
    write_record(runs, 0)
    write_record(runs, 1)
    path = write_plan(runs, NAME, [0, 1])
    mirror(runs, [0, 1], sweep=NAME).sync()
    mirror(runs, [0], sweep=f"{NAME}_0123abcd").sync()  # with other overrides
    write_plan(runs, f"{NAME}_0123abcd", [0])
    change(runs, "UPDATE runs SET status = 'RUNNING'")
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
    found = children(runs, NAME)
    assert [found[key_of(n)].info.status for n in (0, 1)] == ["FINISHED", "KILLED"]
    by_sweep = {run.data.tags["factorlab.sweep"]: run.info.status for run in parents(runs)}
    assert by_sweep == {NAME: "KILLED", f"{NAME}_0123abcd": "FINISHED"}
    again = factorlab("sync", cwd=tmp_path)
    assert "plan missing" not in again.stderr
    assert len(all_runs(runs)) == 5


@pytest.mark.parametrize(
    ("folder", "said"), [("typo", "the runs folder does not exist"), ("other", "contains no sweep")]
)
def test_a_folder_that_is_no_runs_folder_is_refused(tmp_path, folder, said):
    (tmp_path / "other").mkdir()
    ended = factorlab("sync", "--runs", folder, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert f"factorlab: {folder}: {said}" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_a_sync_of_a_moved_folder_says_so_and_of_deleted_runs_how_many(runs, tmp_path):
    write_record(runs, 0, done=True)
    write_plan(runs, SWEEP, [0])
    mirror(runs, [0]).sync()
    moved = runs.rename(tmp_path / "moved")
    ended = factorlab("sync", "--runs", "moved", cwd=tmp_path)
    assert ended.returncode == 0
    assert f"{moved}: the folder was moved or copied from {runs}" in ended.stderr
    assert ended.stdout == "0\n"
    assert "moved or copied" not in factorlab("sync", "--runs", "moved", cwd=tmp_path).stderr


def test_a_second_file_with_the_name_of_another_is_named(tmp_path):
    runs, one, other = tmp_path / "runs", tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(TEXT % "0, 1")
    other.write_text(TEXT % "1, 2")
    first = plan.make(load(str(one)), runs)
    assert replaced(first) is None
    plan.save(first)
    assert replaced(first) is None
    second = plan.make(load(str(other)), runs)
    said = replaced(second)
    assert said.startswith(f"{other}: the name 'squares' is also used by {one}")
    assert "1 run is no longer part of the sweep" in said
    one.write_text(TEXT % "2")
    assert "2 runs are no longer part" in replaced(plan.make(load(str(one)), runs))
    one.rename(tmp_path / "renamed.yaml")
    (tmp_path / "renamed.yaml").write_text(TEXT % "0, 1")
    assert replaced(plan.make(load(str(tmp_path / "renamed.yaml")), runs)) is None
