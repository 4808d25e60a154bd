"""Axes with ranges, and the trials that a search has picked."""

import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab.errors import UserError
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.planning.overrides import parse_overrides
from sweeps.planning.search import continuation, picked
from sweeps.planning.search.spec import AxisRange, axis_values
from tests.helpers.experiments import write_experiment

RANDOM = {"algorithm": "random", "metric": "accuracy", "mode": "max", "runs": 5}
AXES = {"training.learning_rate": {"loguniform": [1e-4, 1e-1]}, "seed": [0, 1]}


def search_plan(folder, **changes):
    """Return the plan of a small search."""
    content = {"axes": AXES, "search": RANDOM} | changes
    made = plan.make(load(str(write_experiment(folder / "small.yaml", **content))), folder / "runs")
    return continuation.continued(made)


def pick(made, count):
    """Save the first picks of a random search; return their trials."""
    trials = []
    for number in range(count):
        point = picked.draw(made.values, 0, number)
        trials.append(made.at(point))
        picked.append(made, point, trials[-1])
    return trials


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"uniform": [1, 0]}, "the low end must be below the high end"),
        ({"uniform": [0, math.inf]}, "the low end must be below"),
        ({"uniform": [0, 10**400]}, "from -1.8e"),
        ({"loguniform": [1, 10**400]}, "from -1.8e"),
        ({"uniform": [0, math.nan]}, "the low end must be below"),
        ({"randint": [1, 10**400]}, "from -9.22e"),
        ({"randint": [-(10**400), 1]}, "from -9.22e"),
        ({"uniform": [0]}, "takes two numbers"),
        ({"uniform": [0, "1"]}, "takes two numbers"),
        ({"uniform": [False, True]}, "takes two numbers"),
        ({"uniform": [0, 1], "randint": [0, 1]}, "a range has one key"),
        ({"normal": [0, 1]}, "allowed: uniform, loguniform, randint"),
        ({"randint": [0.5, 2]}, "takes two whole numbers"),
        ({"loguniform": [0, 1]}, "the low end must be above 0"),
        ({}, "a range has one key"),
        ([], "at least one value"),
        (3, "a list of values, or a range"),
    ],
)
def test_axis_values_refuses(content, problem):
    with pytest.raises(ValueError, match=problem):
        axis_values(content)


def test_draw_is_uniform():
    axes = {
        "flat": axis_values({"uniform": [2.0, 4.0]}),
        "log": axis_values({"loguniform": [1e-4, 1.0]}),
        "whole": axis_values({"randint": [0, 4]}),
        "listed": ["a", "b"],
    }
    points = [picked.draw(axes, 0, number) for number in range(4000)]
    # The largest gap between the empirical and the true distribution of 4000 draws is above
    # 1.95 / sqrt(4000) = 0.031 in one of a thousand samples (Kolmogorov).
    for share in (
        sorted((point["flat"] - 2) / 2 for point in points),
        sorted(math.log10(point["log"]) / 4 + 1 for point in points),
    ):
        assert max(abs(value - rank / 4000) for rank, value in enumerate(share)) < 0.031
    # Counts are binomial, with a standard deviation of at most sqrt(4000 / 4) = 32.
    for key, count in (("whole", 4), ("listed", 2)):
        found = Counter(point[key] for point in points)
        assert len(found) == count
        assert all(abs(times - 4000 / count) < 5 * 32 for times in found.values())


@given(
    low=st.integers(1, 1000),
    width=st.integers(1, 1000),
    kind=st.sampled_from(["uniform", "loguniform", "randint"]),
    number=st.integers(0, 10_000),
)
def test_draw_is_on_the_axes_and_repeatable(low, width, kind, number):
    axes = {"x": axis_values({kind: [low, low + width]}), "y": ["a", [1, 2]]}
    point = picked.draw(axes, 7, number)
    assert point == picked.draw(axes, 7, number)
    assert picked._is_on(json.loads(json.dumps(point)), axes)
    assert isinstance(point["x"], int) == (kind == "randint")


def test_load_needs_a_search_for_ranges(tmp_path):
    path = write_experiment(tmp_path / "small.yaml", axes=AXES)
    with pytest.raises(UserError, match=r"axes\.training\.learning_rate: a range needs a search"):
        load(str(path))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"search": RANDOM | {"algorithm": "os.system"}}, "search.algorithm = 'os.system'"),
        ({"search": RANDOM | {"mode": "most"}}, "search.mode = 'most'"),
        ({"search": RANDOM | {"runs": 0}}, "search.runs = 0"),
        ({"search": RANDOM | {"steps": 10**400}}, "allowed: whole numbers from -2**63 to 2**63"),
        ({"axes": {"training.steps": {"randint": [1, 10**400]}}, "search": RANDOM}, "randint: the"),
        ({"search": RANDOM | {"budget": 3}}, "unknown key 'search.budget'"),
        ({"search": RANDOM, "resources": {"pack": 4}}, "resources.pack = 4"),
        ({"axes": {}, "search": RANDOM}, "a search needs at least one axis"),
        ({"axes": {"seed": {"randint": [3, 3]}}, "search": RANDOM}, "axes.seed: randint: the low"),
        (
            {"scheduler": {"algorithm": "ray.tune.Tuner", "metric": "accuracy", "mode": "max"}},
            "scheduler.algorithm = 'ray.tune.Tuner'",
        ),
    ],
)
def test_load_refuses_search(tmp_path, changes, problem):
    path = write_experiment(tmp_path / "small.yaml", **({"axes": AXES, "search": RANDOM} | changes))
    with pytest.raises(UserError) as refused:
        load(str(path))
    assert problem in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")


def test_overrides_set_and_replace_ranges(tmp_path):
    path = str(write_experiment(tmp_path / "small.yaml", axes=AXES, search=RANDOM))
    options = ["data.sigma=1.5", "axes.data.subsample={uniform: [0.2, 0.8]}", "seed=[3, 4]"]
    found = load(path, overrides=parse_overrides(options)).axes
    assert found["data.subsample"] == AxisRange("uniform", 0.2, 0.8)
    assert found["seed"] == [3, 4]
    fixed = load(path, overrides=parse_overrides(["training.learning_rate=0.01"])).axes
    assert fixed["training.learning_rate"] == [0.01]
    with pytest.raises(UserError, match="the low end must be below"):
        load(path, overrides=parse_overrides(["training.learning_rate={uniform: [1, 0]}"]))


def test_continued_checks_ends_of_axes(tmp_path):
    with pytest.raises(UserError, match=r"data\.subsample = 2"):
        search_plan(tmp_path, axes={"data.subsample": {"uniform": [0.5, 2.0]}})


def test_saved_plan_has_what_was_picked(tmp_path):
    made = search_plan(tmp_path)
    saved_plans.save(made)
    trials = pick(made, 3)
    found = saved_plans.find(tmp_path / "runs", "small")
    assert list(found.trials) == trials
    assert found.search == made.search
    assert found.values == made.values
    assert found.state().to_pick == 2
    assert list(search_plan(tmp_path).trials) == trials


def test_picked_survives_torn_line_and_repetition(tmp_path):
    made = search_plan(tmp_path)
    (first, second) = pick(made, 2)
    path = next(tmp_path.glob("runs/sweeps/*/picked.jsonl"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[0] + lines[1][: len(lines[1]) // 2])
    assert list(picked.read(made)) == [first.key]
    picked.append(made, picked.draw(made.values, 0, 1), second)
    assert list(picked.read(made)) == [first.key, second.key]


def test_continued_leaves_out_points_off_the_axes(tmp_path):
    trials = pick(search_plan(tmp_path), 4)
    kept = [trial for trial in trials if trial.settings["seed"] == 0]
    assert 0 < len(kept) < 4
    assert list(search_plan(tmp_path, axes=AXES | {"seed": [0]}).trials) == kept


def test_guesses_are_not_records(tmp_path):
    made = search_plan(tmp_path)
    guesses = picked.guesses(made, 5)
    assert [guess.key for guess in guesses] == [f"pick-{number}" for number in range(5)]
    assert all(made.record_of(guess.key).state() == "new" for guess in guesses)
