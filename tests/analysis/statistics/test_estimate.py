"""Estimates against closed forms, and how often their intervals hold the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.estimate import (
    Estimate,
    of_difference,
    of_draws,
    of_mean,
    of_share,
    of_slope,
)

VALUES = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=20)


@given(VALUES)
def test_mean_agrees_with_a_t_test(values):
    found = of_mean(values)
    assert found.value == pytest.approx(np.mean(values))
    assert found.low <= found.value <= found.high
    if len(set(values)) > 1:
        ends = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.low, found.high) == (pytest.approx(ends.low), pytest.approx(ends.high))


@given(VALUES, VALUES)
def test_difference_turns_its_sign_with_its_groups(one, other):
    found, back = of_difference(one, other), of_difference(other, one)
    assert (-found).value == pytest.approx(back.value)
    assert (-found).low == pytest.approx(back.low)
    assert (-found).high == pytest.approx(back.high)
    assert found.runs == min(len(one), len(other))
    if min(len(set(one)), len(set(other))) > 1:
        ends = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
        assert (found.low, found.high) == (pytest.approx(ends.low), pytest.approx(ends.high))


def test_one_run_has_no_interval():
    for found in (of_mean([2.0]), of_difference([1.0], [2.0, 3.0]), of_slope([1, 2], [3, 4])):
        assert (found.low, found.high) == (-math.inf, math.inf)
        assert found.runs_to_exclude(0) == math.inf


def test_groups_without_spread_have_a_sharp_difference():
    assert of_difference([1.0, 1.0], [3.0, 3.0]) == Estimate(2.0, 2.0, 2.0, 2)


@given(st.integers(1, 30), st.data())
def test_share_is_inside_its_interval(runs, data):
    count = data.draw(st.integers(0, runs))
    found = of_share(count, runs)
    assert 0 <= found.low < found.high <= 1
    assert found.value == count / runs


def test_draws_have_the_quantiles_of_their_distribution():
    found = of_draws(np.random.default_rng(0).normal(3, 2, 100_000), runs=4)
    assert found.value == pytest.approx(3, abs=0.03)
    assert found.low == pytest.approx(3 - 1.96 * 2, abs=0.06)
    assert found.plus(1.0).high == pytest.approx(4 + 1.96 * 2, abs=0.06)


def test_slope_agrees_with_the_closed_form():
    rng = np.random.default_rng(0)
    x = np.repeat([1.0, 2.0, 4.0], 5)
    y = 2 - 3 * x + rng.normal(size=15)
    found = of_slope(x, y)
    centred = x - x.mean()
    slope = (centred @ y) / (centred @ centred)
    rest = y - y.mean() - slope * centred
    error = math.sqrt((rest @ rest) / 13 / (centred @ centred))
    assert found.value == pytest.approx(slope)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 13) * error)
    assert found.runs == 5


def test_exp_turns_a_logarithm_into_a_ratio_with_its_interval():
    found = Estimate(0.0, -math.log(2), math.log(3), 4).exp()
    assert (found.value, found.low, found.high) == pytest.approx((1, 0.5, 3))
    assert Estimate(0.0, -math.inf, math.inf, 1).exp() == Estimate(1.0, 0.0, math.inf, 1)


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.integers(2, 9))
def test_runs_to_exclude_a_bound(value, half, runs):
    """As many runs as it takes until half of Student's interval is as long as the distance."""
    found = Estimate(value, value - half, value + half, runs).runs_to_exclude(0)
    if half <= value:
        assert found == runs
    else:

        def expected(count):
            """Half of the interval of as many runs with the same scatter."""
            return half * stats.t.ppf(0.975, count - 1) / math.sqrt(count) * root

        root = math.sqrt(runs) / stats.t.ppf(0.975, runs - 1)
        assert expected(found) <= value * (1 + 1e-9)
        assert found == runs + 1 or expected(found - 1) >= value * (1 - 1e-9)


def test_intervals_of_means_hold_the_truth():
    rng = np.random.default_rng(3)
    ends = [of_mean(rng.normal(1, 2, 4)) for _ in range(1000)]
    held = np.mean([one.low <= 1 <= one.high for one in ends])
    assert held == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / 1000))
