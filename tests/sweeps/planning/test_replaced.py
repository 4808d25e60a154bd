"""Experiment files with the same name, which share one sweep, and the command of each."""

import pytest

from factorlab.errors import UserError
from factorlab.storage.files import read_json, write_json
from sweeps.planning import plan, saved_plans
from sweeps.planning.command import command_of
from sweeps.planning.experiment import load
from sweeps.planning.replaced import replaced
from tests.helpers.experiments import write_experiment


def test_replaced_names_file_of_same_experiment_name(tmp_path):
    runs, one, other = tmp_path / "runs", tmp_path / "one.yaml", tmp_path / "other.yaml"

    def planned(path, *seeds):
        write_experiment(path, name="squares", axes={"seed": list(seeds)})
        return plan.make(load(str(path)), runs)

    first = planned(one, 0, 1)
    assert replaced(first) is None
    saved_plans.save(first)
    assert replaced(first) is None
    said = replaced(planned(other, 1, 2))
    assert said.startswith(f"{other}: the name 'squares' is also used by {one}")
    assert "1 run is no longer part of the sweep" in said
    assert "2 runs are no longer part" in replaced(planned(one, 2))
    renamed = one.rename(tmp_path / "renamed.yaml")
    assert replaced(planned(renamed, 0, 1)) is None


def planned_in(folder, monkeypatch, *seeds):
    """Return the plan of `exp.yaml` in a folder, given by its relative path."""
    folder.mkdir(exist_ok=True)
    write_experiment(folder / "exp.yaml", axes={"seed": list(seeds)})
    monkeypatch.chdir(folder)
    return plan.make(load("exp.yaml"), folder.parent / "runs")


def test_replaced_notices_same_path_in_another_folder(tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    first = planned_in(one, monkeypatch, 0, 1)
    saved_plans.save(first)
    assert replaced(first) is None
    second = planned_in(other, monkeypatch, 0, 1, 2)
    said = f"exp.yaml: the name 'exp' is also used by {one / 'exp.yaml'}, whose plan"
    assert replaced(second).startswith(said)
    monkeypatch.chdir(tmp_path)
    assert replaced(plan.make(load("one/exp.yaml"), first.runs)) is None


def test_command_of_relative_file_works_in_every_folder(tmp_path, monkeypatch):
    made = planned_in(tmp_path / "one", monkeypatch, 0)
    saved_plans.save(made)
    monkeypatch.chdir(tmp_path)
    found = saved_plans.find(made.runs, "exp")
    assert command_of(found) == f"factorlab sweep {tmp_path}/one/exp.yaml"
    assert load(found.file).name == "exp"
    assert "--profile" not in command_of(found)
    assert command_of(plan.make(load("phases", "smoke"), made.runs)).split()[2] == "phases"


def test_error_names_relative_file_as_it_was_given(tmp_path, monkeypatch):
    made = planned_in(tmp_path / "one", monkeypatch, 0)
    assert made.source == "exp.yaml"
    with pytest.raises(UserError, match=r"^exp\.yaml: "):
        load("exp.yaml", "typo")


def test_plan_of_earlier_version_with_relative_source(tmp_path, monkeypatch):
    made = planned_in(tmp_path / "one", monkeypatch, 0, 1)
    saved_plans.save(made)
    path = plan.path_of(made.runs, made.sweep)
    document = read_json(path)
    del document["file"]
    write_json(path, document)
    found = saved_plans.find(made.runs, "exp")
    assert (found.source, found.file, found.keys) == ("exp.yaml", "", made.keys)
    assert command_of(found) == "factorlab sweep exp.yaml"
    assert replaced(made) is None
