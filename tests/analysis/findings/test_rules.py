"""Verdicts of conditions, against their definition."""

import math

from hypothesis import given
from hypothesis import strategies as st

from analysis.findings._rules.conditions import Condition, decide
from analysis.statistics.estimate import Estimate

NUMBERS = st.floats(-2, 2)
HALVES = st.floats(0, 1)


def condition(value, half, bound, side="above", runs=3):
    return Condition("gain", Estimate(value, value - half, value + half, runs), bound, side)


@given(NUMBERS, HALVES, NUMBERS)
def test_verdict_follows_the_whole_interval(value, half, bound):
    found = condition(value, half, bound).verdict
    if value - half > bound:
        assert found == "shown"
    elif value + half <= bound:
        assert found == "not shown"
    else:
        assert found == "not resolvable"


@given(NUMBERS, HALVES, NUMBERS)
def test_below_is_above_with_all_signs_turned(value, half, bound):
    turned = condition(-value, half, -bound, "below").verdict
    assert turned == condition(value, half, bound).verdict


@given(st.lists(st.sampled_from([-0.5, 0.0, 0.5]), min_size=1, max_size=4))
def test_decide_needs_all_conditions(values):
    """Estimates of 0 with an interval of 0.1 cannot tell on which side of 0 they are."""
    found = decide([condition(value, 0.1, 0.0) for value in values])
    if min(values) < 0:
        assert found.verdict == "not shown"
    else:
        assert found.verdict == ("shown" if min(values) > 0 else "not resolvable")


def test_decide_says_how_many_seeds_it_takes():
    found = decide([condition(0.05, 0.1, 0.0, runs=3)], "More.")
    assert found.numbers == (
        "Gain 5 points [-5, 15], to be above 0. More. It would take about 5 seeds (gain)."
    )
    hopeless = decide([condition(0.0, 0.1, 0.0)])
    assert hopeless.numbers.endswith("It would take more than 100 seeds (gain).")
    one = Condition("gain", Estimate(0.3, -math.inf, math.inf, 1), 0.0)
    assert decide([one]).numbers == (
        "Gain 30 points [no interval from 1 seed], to be above 0. It would take at least two seeds "
        "(gain)."
    )
