"""The price of a plan."""

import pytest

from factorlab.config import parse
from sweeps import estimate, experiment, plan

FILE = """
name: priced
base: {data: {size: 8}, model: {width: 4}, training: {steps: 100}}
axes: {seed: [0, 1, 2], training.steps: [100, 300]}
"""


@pytest.fixture
def priced(tmp_path):
    path = tmp_path / "priced.yaml"
    path.write_text(FILE)
    made = plan.make(experiment.load(str(path)), tmp_path / "runs")
    return made, estimate.estimate(made, made.pending())


def test_a_plan_costs_what_its_trials_cost(priced):
    made, left = priced
    assert set(left.seconds) == {trial.key for trial in made.trials}
    assert left.steps == 3 * (100 + 300)
    assert left.wall == pytest.approx(
        max(sum(left.seconds.values()) / left.slots, *left.seconds.values())
    )
    short, long = sorted(set(left.seconds.values()))
    evaluation = 121 * 50 / (3 * 64)  # labels a pixel from the rim, 50 network calls, in steps
    assert long - short == pytest.approx(200 * short / (100 + evaluation))


def test_the_operations_of_a_run_match_those_of_its_convolutions():
    small = estimate.flops(parse({"model": {"width": 16}, "data": {"size": 16}}), 100)
    large = estimate.flops(parse({"model": {"width": 32}, "data": {"size": 16}}), 100)
    # Convolutions are quadratic in the width; what is linear in it keeps the ratio below four.
    assert 3 < large / small < 4


def test_operations_are_linear_in_steps_and_in_evaluation():
    def flops(**training):
        return estimate.flops(parse({"model": {"width": 4}, "training": training}), 100)

    one, two, three = (flops(steps=steps) for steps in (100, 200, 300))
    assert three - two == pytest.approx(two - one)


def test_a_finished_plan_costs_nothing(priced):
    made, _ = priced
    nothing = estimate.estimate(made, [])
    assert (nothing.seconds, nothing.wall, nothing.steps) == ({}, 0, 0)
