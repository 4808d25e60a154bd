"""Overrides: pairs in an option, axes on the command line, lists that are no axis."""

import io
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from factorlab.errors import UserError
from factorlab.parsing import setting_keys
from sweeps.planning import experiment, plan
from sweeps.planning.cost.estimate import Estimate
from sweeps.planning.overrides import parse_overrides, split_pairs
from sweeps.reporting import summary

EXPERIMENT = """
name: mine
base: {data: {size: 8}, training: {steps: 5}}
axes: {data.subsample: [0.5, 1.0], seed: [0, 1]}
also: [{data.held_out: [{kind: rim, width: 1.0}]}]
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(EXPERIMENT)
    return str(file)


def load(path, *options):
    return experiment.load(path, None, parse_overrides(options))


def refused(path, *options):
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        list(load(path, *options).points())
    return str(error.value)


KEYS = st.sampled_from([*setting_keys(), "axes.seed", "axes.data.sigma", "x", "_a.b1"])
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TRICKY = st.text("ab.= []{}',\"\\:\n", max_size=12)


class Quoting(yaml.SafeDumper):
    """Quotes all text: some, such as 0E0, is a number in YAML 1.2 but not in 1.1."""


Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")
)


def written(value):
    """Draw a value as JSON or in YAML's flow style."""
    if isinstance(value, str) and "\n" not in value:
        return st.sampled_from([json.dumps(value), "'" + value.replace("'", "''") + "'"])
    dumped = yaml.dump(
        value, Dumper=Quoting, default_flow_style=True, width=10**6, allow_unicode=True
    )
    json_text = json.dumps(value, ensure_ascii=False).replace("Infinity", "1e999")
    return st.sampled_from([json_text, dumped.removesuffix("...\n").strip()])


@st.composite
def pairs(draw):
    """Draw pairs of key and value, as they are written in an option."""
    found = draw(st.dictionaries(KEYS, VALUES | TRICKY | st.lists(TRICKY), min_size=1, max_size=4))
    return [f"{key}={draw(written(value))}" for key, value in found.items()]


@settings(max_examples=1000)
@given(pairs(), st.lists(st.sampled_from([" ", "  ", "\t", "\n"]), min_size=4, max_size=4))
def test_split_pairs_of_joined_options(found, spaces):
    together = "".join(pair + space for pair, space in zip(found, spaces, strict=False))
    assert list(split_pairs(together)) == found
    assert str(parse_overrides([together])) == str(parse_overrides(found))  # NaN is not NaN


@given(st.text(max_size=30))
def test_split_pairs_loses_no_text(text):
    assert re.sub(r"\s", "", "".join(split_pairs(text))) == re.sub(r"\s", "", text)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("seed=[0, 1]", {"seed": [0, 1]}),
        ("seed=[0, 1] data.size=8", {"seed": [0, 1], "data.size": 8}),
        ("data={size: 8, sigma: 1} seed=0", {"data": {"size": 8, "sigma": 1}, "seed": 0}),
        ("a='x y=1' b=\"z c=2\"", {"a": "x y=1", "b": "z c=2"}),
        ("a='it''s b=1' c=2", {"a": "it's b=1", "c": 2}),
        ('a="\\" b=1" c=2', {"a": '" b=1', "c": 2}),
        ("a=it's b=1", {"a": "it's", "b": 1}),
        ("a=two words b=1", {"a": "two words", "b": 1}),
        ("a=[= '] b=1", {"a": ["= '"], "b": 1}),
        ("a=[x, 'y b=1'] c=2", {"a": ["x", "y b=1"], "c": 2}),
        ("a={x: 'y b=1', z: 3} c=2", {"a": {"x": "y b=1", "z": 3}, "c": 2}),
        ("a=!!str 'x b=1' c=2", {"a": "x b=1", "c": 2}),
        ("a=x, 'y b=1", {"a": "x, 'y", "b": 1}),
        (" seed = 3 ", {"seed": 3}),
        ("a=x=y", {"a": "x=y"}),
        ("a= b=1", {"a": None, "b": 1}),
    ],
)
def test_parse_overrides_finds_end_of_value(option, expected):
    assert parse_overrides([option]) == expected


@pytest.mark.parametrize(
    "option", ["novalue", "=3", "a=[1", "a='x b=1", "", " ", "a=1\tb", "a=[x ']', b=1] c=2"]
)
def test_parse_overrides_refuses_malformed_option(option):
    with pytest.raises(UserError, match=r"^--set [^\n]*$"):
        parse_overrides([option])


def test_load_adds_or_replaces_axis(path):
    added = load(path, "axes.data.sigma=[0.5, 1.0]")
    assert added.swept["data.sigma"] == [0.5, 1.0]
    assert len(list(added.points())) == 2 * (4 + 4)  # further grids included
    pairs = load(path, "axes.data.sigma=[[0.5, 1.0]]")
    assert {run.data.sigma for _, run in pairs.points()} == {(0.5, 1.0)}
    replaced = load(path, "axes.seed=[3, 4, 5]")
    assert replaced.swept["seed"] == [3, 4, 5]
    assert replaced.axes == load(path, "seed=[3, 4, 5]").axes
    assert load(path, "axes.seed=7").axes["seed"] == [7]
    of_one_grid = load(path, "axes.data.held_out=[null]")
    assert "data.held_out" not in of_one_grid.axes
    assert of_one_grid.also[0]["data.held_out"] == [None]


def test_sweep_name_depends_on_overrides(path):
    names = {
        load(path, *options).sweep
        for options in ([], ["axes.data.sigma=[0.5]"], ["axes.data.sigma=[1.0]"], ["seed=[0]"])
    }
    assert len(names) == 4
    assert load(path).sweep == "mine_default"
    assert load(path, "training.steps=9").sweep == "mine_default_0cd2b821"  # as in earlier versions


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["training.steps=[1, 2]"], "--set training.steps: 'training.steps' is not an axis of"),
        (["training.steps=[1, 2]"], "to sweep over it, use --set axes.training.steps=[1,2]"),
        (["training={steps: [1, 2]}"], "use --set axes.training.steps=[1,2]"),
        (["data.sigma=[1.0, 2.0, 3.0]"], "use --set axes.data.sigma=[1.0,2.0,3.0]"),
        (["data.family=[bump, sos]"], 'use --set axes.data.family=["bump","sos"]'),
        (["data.family=[bump, nosuch]"], "use --set axes.data.family="),
        (["evaluation.at=[1, x]"], "evaluation.at"),
        (["nosuch=[1, 2]"], "unknown key 'nosuch'"),
        (["axes.nosuch=[1, 2]"], "unknown key 'nosuch'"),
        (["axes.seed=[]"], "--set axes.seed: an axis needs at least one value"),
        (["axes.model=[{width: 4}]"], "--set: axes.model: a group of settings cannot be an axis"),
        (["axes={seed: [0]}"], "--set axes: give one axis at a time; allowed: axes.KEY=[...]"),
        (["axes.seed=[0]", "seed=1"], "--set axes.seed: 'seed' is set as well; give only"),
        (["axes.data.held_out.width=[1.0]"], "'data.held_out' is an axis of"),
        (["data={size: 8}", "axes.data.sigma=[1.0]"], "--set data: 'data."),
        (["data=1"], "'data.held_out' is an axis of"),
        (["data.subsample.x=1"], "'data.subsample' is an axis of"),
    ],
)
def test_load_refuses_override(path, options, said):
    assert said in refused(path, *options)


def printed(path, *options):
    """Return the printed plan of a sweep, unwrapped."""
    made = plan.make(load(path, *options), Path("/nowhere"))
    console = Console(file=io.StringIO(), width=10_000)
    summary.show_plan(made.state(), Estimate({}, 0, 1, "nothing", 0, 0, ()), console)
    return console.file.getvalue()


def test_load_refuses_list_outside_axes(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nbase: {training: {steps: [1, 2]}}\n")
    said = refused(str(path))
    assert said.startswith(f"{path}: training.steps = [1, 2]: 'training.steps' is not an axis")
    assert said.endswith("to sweep over it, put it under axes")
    assert load(str(path), "axes.training.steps=[3]").swept == {"training.steps": [3]}


@pytest.mark.parametrize("option", ["data.sigma=[1.0, 2.0]", "data={sigma: [1.0, 2.0]}"])
def test_show_plan_notes_list_that_is_one_value(tmp_path, option):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\n")
    sentence = (
        "data.sigma = [1.0, 2.0] is one value (x, y) in every run; to sweep over it, use "
        "--set axes.data.sigma=[1.0,2.0]\n"
    )
    assert sentence in printed(str(path), option)


@pytest.mark.parametrize(
    "option",
    ["evaluation.at=[1, 2]", "axes.data.sigma=[1.0, 2.0]", "seed=[3, 4]", "data.sigma=2.0"],
)
def test_show_plan_does_not_note_other_lists(path, option):
    assert "one value" not in printed(path, option)


def test_show_plan_names_settings_that_were_set(path):
    said = printed(path, "data.sigma=2.0", "seed=[0, 1]", "axes.model.width=[4, 8]")
    assert re.search(r"^data\.sigma +2\.0 in every run \(--set\) *$", said, re.M)
    assert said.count("--set") == 1  # the others are axes


def test_show_plan_shortens_long_axes(path):
    said = printed(path, f"seed={list(range(2000))}", "data.subsample=1.0")
    assert "0, 1, 2, 3, 4, ..., 1999 (2000 in all)" in said
    few = printed(path, "seed=[0, 1]", "data.subsample=1.0")
    assert len(said.splitlines()) == len(few.splitlines())
    assert max(map(len, said.splitlines())) < 200
    long = printed(path, f"axes.evaluation.at=[{list(range(5))}, []]", "axes.model.width=[4, 8]")
    assert "[0, 1, 2, 3, 4], []" in long


def test_make_gives_short_unique_trial_names(path):
    at = [[0, *range(1, end)] for end in range(300, 303)]
    options = ["training.steps=999", f"axes.evaluation.at={json.dumps(at)}"]
    options += [f"axes.{key}=[{value}]" for key, value in MANY.items()]
    made = plan.make(load(path, *options), Path("/nowhere"))
    names = [trial.name for trial in made.trials]
    assert len(set(names)) == len(names) == 3 * (4 + 4)
    assert max(map(len, names)) <= 200
    assert names[0].startswith("λ.5 ")


MANY = {
    "data.spacing": 0.25,
    "data.stripe_spacing": 0.5,
    "training.learning_rate": 0.0012345678901234,
    "training.weight_decay": 0.0012345678901234,
    "training.checkpoint_every": 1,
    "training.log_every": 1,
    "diffusion.timesteps": 999,
    "diffusion.sampling_steps": 9,
    "evaluation.loss_samples": 5,
    "evaluation.batch_size": 5,
}
