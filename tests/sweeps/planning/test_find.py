"""Finding saved plans by experiment, profile and full name."""

import pytest

from factorlab.errors import UserError
from sweeps.execution import measuring
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load

FILE = """
name: mine
base: {data: {size: 6}}
profiles: {laptop: {}, smoke: {axes: {seed: [1]}}}
"""


@pytest.fixture
def runs(tmp_path):
    """Three sweeps, the newest last."""
    path = tmp_path / "mine.yaml"
    path.write_text(FILE)
    sweeps = (("laptop", {}), ("smoke", {}), ("laptop", {"seed": 5}))
    for number, (profile, overrides) in enumerate(sweeps):
        made = plan.make(load(str(path), profile, overrides), tmp_path / "runs")
        saved_plans.save(made.model_copy(update={"planned": float(number)}))
    return tmp_path / "runs"


def test_find_returns_the_newest_of_an_experiment(runs):
    assert saved_plans.find(runs, "mine").overrides == {"seed": 5}
    assert saved_plans.find(runs, "mine", "smoke").sweep == "mine_smoke"
    assert saved_plans.find(runs, "mine_laptop").overrides == {}


@pytest.mark.parametrize("asked", [("other",), ("mine", "a100"), ("mine_a100",)])
def test_find_names_the_sweeps_that_exist(runs, asked):
    with pytest.raises(UserError, match=r"mine_laptop, mine_laptop_\w{8}, mine_smoke$"):
        saved_plans.find(runs, *asked)


def test_find_refuses_a_sweep_with_another_profile(runs):
    assert saved_plans.find(runs, "mine_laptop", "laptop").sweep == "mine_laptop"
    with pytest.raises(UserError) as refused:
        saved_plans.find(runs, "mine_laptop", "smoke")
    assert str(refused.value) == (
        f"{runs}: the sweep mine_laptop has the profile 'laptop', not 'smoke'; allowed: "
        "mine_laptop alone, or mine with a profile"
    )


def test_analyse_takes_no_key_with_a_profile(runs):
    (runs / "trials" / "abc").mkdir(parents=True)
    assert [trial.key for trial in measuring.subjects(runs, "a")] == ["abc"]
    with pytest.raises(UserError, match="no sweep of 'a' with profile 'smoke'"):
        measuring.subjects(runs, "a", "smoke")


def test_saved_reports_and_skips_a_damaged_plan(runs, caplog):
    path = plan.path_of(runs, "mine_smoke")
    text = path.read_text()
    assert text.count("smoke") > 1
    path.write_text(text.replace("smoke", "broke", 1))
    assert [found.sweep for found in saved_plans.saved(runs)][-1:] == ["mine_laptop"]
    assert len(saved_plans.saved(runs)) == 2
    assert f"{path}: its checksum does not match" in caplog.text


def test_errors_name_the_file_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("name: mine\nbase: {data: {size: -1}}\n")
    for given in ("mine.yaml", "./mine.yaml", str(tmp_path / "mine.yaml")):
        with pytest.raises(UserError) as error:
            plan.make(load(given), tmp_path / "runs")
        shown = given.removeprefix("./")
        assert str(error.value).startswith(f"{shown}: data.size = -1")
    with pytest.raises(UserError, match=r"^scaling: data\.size = -1"):
        plan.make(load("scaling", "smoke", {"data.size": -1}), tmp_path / "runs")
