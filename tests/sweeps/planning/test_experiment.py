"""Experiment files: their meaning, and the error message for each mistake."""

import io
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from factorlab.errors import UserError
from sweeps.planning import experiment, plan
from sweeps.planning.cost.estimate import NOTHING
from sweeps.planning.search import continuation
from sweeps.planning.yaml_file import parse_yaml
from sweeps.reporting.figure_checks import check_figures
from sweeps.reporting.summary import show_plan

GOOD = """
name: mine
base: {data: {size: 8}, training: {steps: 5}}
axes: {data.sigma: [0.5, 1.0], seed: [0, 1, 2]}
profiles:
  laptop: {}
  quick: {base: {training: {steps: 1}}, axes: {seed: [7]}}
"""


def write(folder, text):
    """Write an experiment file and return its path as a string."""
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_points_are_product_of_axes(tmp_path):
    points = list(experiment.load(write(tmp_path, GOOD)).points())
    values = [(run.data.sigma, run.seed, run.training.steps) for _, run in points]
    assert values == [(s, k, 5) for s in (0.5, 1.0) for k in (0, 1, 2)]
    assert points[1][0] == {"data.sigma": 0.5, "seed": 1}


def test_load_applies_profile_then_overrides(tmp_path):
    path = write(tmp_path, GOOD)
    quick = [run for _, run in experiment.load(path, "quick").points()]
    assert [(r.data.sigma, r.seed, r.training.steps) for r in quick] == [(0.5, 7, 1), (1.0, 7, 1)]
    overridden = experiment.load(
        path, "quick", {"data.sigma": 2.0, "training.steps": 9, "seed": [3, 4]}
    )
    runs = [run for _, run in overridden.points()]
    assert [(r.data.sigma, r.seed, r.training.steps) for r in runs] == [(2.0, 3, 9), (2.0, 4, 9)]
    assert overridden.sweep.startswith("mine_quick_")
    assert experiment.load(path, "quick").sweep == "mine_quick"


TIED = """
name: mine
base: {training: {steps: 5}}
axes: {data.size: [6, 8], seed: [0, 1]}
tied: {training.steps: {data.size: {"6": 10, "8": 20}}}
"""


def test_tied_settings_follow_their_axis(tmp_path):
    path = write(tmp_path, TIED)
    loaded = experiment.load(path)
    assert [(r.data.size, r.training.steps) for _, r in loaded.points()] == [
        *[(6, 10)] * 2,
        *[(8, 20)] * 2,
    ]
    assert all("training.steps" not in point for point, _ in loaded.points())
    smaller = experiment.load(path, None, {"data.size": [8]})
    assert {run.training.steps for _, run in smaller.points()} == {20}


def test_tied_settings_follow_truth_values(tmp_path):
    text = TIED.replace("data.size: [6, 8]", "data.periodic: [true, false]")
    text = text.replace('data.size: {"6": 10, "8": 20}', "data.periodic: {'true': 10, 'false': 20}")
    runs = [run for _, run in experiment.load(write(tmp_path, text)).points()]
    assert {(run.data.periodic, run.training.steps) for run in runs} == {(True, 10), (False, 20)}


def test_override_of_a_tied_setting_unties_it(tmp_path):
    path = write(tmp_path, TIED)
    fixed = experiment.load(path, None, {"training.steps": 7})
    assert {run.training.steps for _, run in fixed.points()} == {7}
    swept = experiment.load(path, None, {"axes.training.steps": [1, 2]})
    assert {run.training.steps for _, run in swept.points()} == {1, 2}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"8": 20', '"9": 20', "no value for data.size = 8; given for: 6, 9"),
        (
            "steps: {data.size: {",
            "steps: {data.width: {",
            "steps.data.width: no axis with a list",
        ),
        ("seed: [0, 1]", "training.steps: [1]", "tied.training.steps: it is an axis itself"),
        ('{"6": 10, "8": 20}', "{}", "no value for data.size = 6"),
        ("steps: {data.size:", "steps: {seed: {}, data.size:", "follows 2 axes; allowed: one"),
    ],
)
def test_mistakes_in_tied_settings_are_refused(tmp_path, old, new, problem):
    path = write(tmp_path, TIED.replace(old, new))
    with pytest.raises(UserError, match=problem):
        list(experiment.load(path).points())


def test_load_without_profiles(tmp_path):
    loaded = experiment.load(write(tmp_path, "name: plain\nbase: {data: {size: 8}}\n"))
    assert loaded.profile == "default"
    assert len(list(loaded.points())) == 1


def shipped():
    """Every profile of every experiment of the project."""
    for name in experiment.available():
        profiles = experiment.read_yaml(experiment.FOLDER / f"{name}.yaml")["profiles"]
        assert {"smoke", "laptop", "a100"} <= profiles.keys()
        yield from ((name, profile) for profile in profiles)


@pytest.mark.parametrize(("name", "profile"), [*shipped()])
def test_make_plans_every_shipped_experiment(name, profile, tmp_path):
    made = plan.make(experiment.load(name, profile), tmp_path)
    assert made.duplicates == 0
    if made.search is None:
        assert len(made.trials) == made.state().counts()["new"] >= 1
    else:
        made = continuation.continued(made, simulate=False)
        assert made.outlook.middle == made.search.runs > 0


def test_load_scaling_a100_has_paper_values():
    runs = [run for _, run in experiment.load("scaling", "a100").points()]
    assert {run.training.steps for run in runs} == {320_000}
    assert {run.model.width for run in runs} == {64}
    assert {run.diffusion.prediction for run in runs} == {"noise"}
    assert max(run.data.size for run in runs) == 32
    assert {run.seed for run in runs} == {0, 1, 2}


def test_make_drops_duplicates(tmp_path):
    made = plan.make(
        experiment.load(write(tmp_path, GOOD.replace("[0, 1, 2]", "[0, 0, 1]"))), tmp_path
    )
    assert len(made.trials) == 4
    assert made.duplicates == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("seed:", "sede:"), "unknown key 'sede'"),
        (("data.sigma", "data.sgima"), "did you mean 'sigma'?"),
        (("name: mine\n", ""), "key 'name' is missing"),
        (("name: mine", "name: ../up"), "name = '../up'"),
        (("name: mine", "name: mine\ntypo: 1"), "unknown key 'typo'; allowed:"),
        (("[0.5, 1.0]", "[-1.0]"), "data.sigma = -1.0: input should be greater than 0"),
        (("[0.5, 1.0]", "['a']"), "data.sigma = 'a'"),
        (("[0.5, 1.0]", "[]"), "axes.data.sigma = []"),
        (("name: mine", "name: mine\nresources: {timeout: 1.0e+10}"), "equal to 1000000000"),
        (("name: mine", "name: mine\nresources: {timeout: 1.0e-9}"), "than or equal to 0.001"),
        (("steps: 5", f"steps: {10**400}"), "allowed: whole numbers from -2**63 to 2**63 - 1"),
        (("size: 8", "size: 5"), "data.size = 5: input should be greater than or equal to 6"),
        (("size: 8", "size: eight"), "data.size = 'eight': input should be a valid integer"),
        (("size: 8", "size: 8, subsample: 0"), "data.subsample = 0"),
        (("size: 8", "size: 8, subsample: 1.5"), "data.subsample = 1.5: input should be less than"),
        (("size: 8", "size: 8, subsample: 0.001"), "keeps none of 225 labels; allowed: at least"),
        (("size: 8", "size: 8, size: 9"), "line 3: not YAML: the key 'size' is used twice"),
        (("base: {", "base: {]"), "not YAML"),
        (("name: mine", "- mine"), "not YAML"),
        (("size: 8", "size: .nan"), "data.size"),
        (("data.sigma: [0.5, 1.0]", "data: [{size: 8}]"), "axes.data: a group of settings cannot"),
        (("size: 8", "size: 8, spacing: 1.0e-5"), "makes a lattice of"),
        (
            ("size: 8", "size: 8, family: bump+stripes, stripe_spacing: 1.0e-5"),
            "stripes; allowed: up to",
        ),
        (("steps: 5}", "steps: 5}, evaluation: {at: [6]}"), "evaluation.at 6 exceeds"),
    ],
)
def test_make_reports_mistake_with_file_and_key(tmp_path, change, expected):
    text = GOOD.replace(*change)
    assert text != GOOD
    path = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        plan.make(experiment.load(path), tmp_path / "runs")
    message = str(error.value)
    assert message.startswith(path)
    assert expected in message
    assert "\n" not in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("scalling",), "did you mean 'scaling'?"),
        (("scaling", "laptopp"), "no profile 'laptopp'; allowed: smoke, laptop, overnight, a100"),
        (("none.yaml",), "none.yaml: cannot be read: No such file"),
    ],
)
def test_load_refuses_unknown_experiment_or_profile(arguments, expected):
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        experiment.load(*arguments)
    assert expected in str(error.value)


def test_load_without_profile_takes_laptop_or_none(tmp_path):
    profiles = "profiles: {quick: {base: {training: {steps: 1}}}}\n"
    path = write(tmp_path, f"name: mine\nbase: {{training: {{steps: 5}}}}\n{profiles}")
    found = [experiment.load(path, profile) for profile in (None, "quick")]
    assert [one.profile for one in found] == ["default", "quick"]
    assert [one.base["training"]["steps"] for one in found] == [5, 1]
    laptop = write(tmp_path, f"name: mine\n{profiles.replace('quick', 'laptop')}")
    assert experiment.load(laptop).profile == "laptop"


def test_load_refuses_file_that_is_not_text(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00name: x")
    with pytest.raises(UserError, match="not UTF-8"):
        experiment.load(str(path))


@pytest.mark.parametrize("text", ["1e-3", "2E5", "-1e-3"])
def test_parse_yaml_exponents_as_in_json(text):
    assert parse_yaml(text, "here") == json.loads(text)


def test_make_joins_further_grids(tmp_path):
    path = write(
        tmp_path,
        "name: more\n"
        "axes: {data.family: [bump, sos], seed: [0, 1]}\n"
        "also:\n"
        "  - {data.family: [bump], data.subsample: [0.5, 1.0]}\n"
        "  - {data.held_out: [{kind: rim, width: 1.0}], seed: [0]}\n",
    )
    made = plan.make(experiment.load(path), tmp_path)
    assert len(made.trials) == 4 + 2 + 2
    assert made.duplicates == 2  # lambda = 1 of bumps is in the first grid
    assert made.trials[-1].name == "sos held_out=rim-1.0 s0"
    fewer = plan.make(experiment.load(path, None, {"seed": 0, "data.subsample": 0.5}), tmp_path)
    assert len(fewer.trials) == 2 + 1 + 2
    with pytest.raises(UserError, match=r"--set data.held_out.width: 'data.held_out' is an axis"):
        experiment.load(path, None, {"data.held_out.width": 2.0})


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ("[nosuch]", "There is no 'nosuch' among the figures"),
        ("[scaling]", "axes.data.sigma: figure 'scal"),
        ("[{name: a, draw: curves, options: {x: data.sgima}}]", "did you mean 'data.sigma'?"),
        ("[{name: a, draw: curves, options: {z: 1}}]", "figures: a: unknown key 'z'; allowed: x,"),
        ("[{name: a, draws: curves}]", "unknown key 'figures.0.draws'"),
    ],
)
def test_check_figures_refuses_bad_figures(tmp_path, figures, expected):
    path = write(tmp_path, f"{GOOD}figures: {figures}\n")
    with pytest.raises(UserError) as error:
        check_figures(experiment.load(path))
    assert expected in str(error.value)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "base",
                    "axes",
                    "profiles",
                    "data",
                    "data.size",
                    "size",
                    "seed",
                    "smoke",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=junk)
def test_make_plans_or_refuses_any_yaml(tmp_path, content):
    path = write(tmp_path, yaml.safe_dump(content))
    message = None
    try:
        made = plan.make(experiment.load(path), Path("/nonexistent"))
    except UserError as error:
        message = str(error)
    if message is None:
        assert made.trials
    else:
        assert message.startswith(path)
        assert "\n" not in message


def test_plan_shows_tied_settings(tmp_path):
    path = write(tmp_path, TIED)
    state = plan.make(experiment.load(path), tmp_path).state()
    console = Console(file=io.StringIO(), width=80)
    show_plan(state, NOTHING, console)
    assert "training.steps  follows data.size: 10 at 6, 20 at 8" in console.file.getvalue()


def test_experiments_of_result_pages_can_be_planned(tmp_path):
    root = Path(__file__).parents[3] / "docs" / "results"
    found = sorted(root.rglob("*.yaml"))
    assert found
    for path in found:
        assert plan.make(experiment.load(str(path)), tmp_path).trials
