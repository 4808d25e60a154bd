"""Crossings against closed forms, under noise, and of curves that do not cross."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import crossing
from tests.helpers.synthetic_trials import accuracy_at

GRID = np.array([2.0, 5, 11, 22, 45, 112, 225])


def noisy(threshold, rng, *, seeds=3, steepness=2.0, jitter=0.25):
    """Trials with thresholds of their own, which scatter about the true one."""
    samples = np.repeat(GRID, seeds)
    own = threshold * np.exp(jitter * rng.normal(size=samples.size))
    return samples, accuracy_at(samples, own, steepness)


@given(st.floats(6, 100), st.floats(0.5, 1.2), st.floats(0.1, 0.9))
def test_crossing_recovers_logistic_curve(threshold, steepness, level):
    """Unless a neighbour saturates, log-odds are linear in log(samples)."""
    samples = np.geomspace(0.01, 20000, 40)
    found = crossing(samples, accuracy_at(samples, threshold, steepness), level=level)
    shift = math.log(level / (1 - level)) - math.log(0.6 / 0.4)
    assert found.value == pytest.approx(threshold * math.exp(shift / steepness))


def test_crossing_at_measured_level():
    assert crossing([4, 8, 16], [0.2, 0.6, 0.9]).value == pytest.approx(8)
    assert crossing([4, 8, 16], [0.6, 0.7, 0.9]).value == pytest.approx(4)
    assert crossing([4, 8, 16], [0.2, 0.4, 0.6]).value == pytest.approx(16)


def test_crossing_of_saturated_step():
    found = crossing([4, 8, 16, 32], [0, 0, 1, 1], level=0.5)
    assert found.value == pytest.approx(math.sqrt(8 * 16))


def test_crossing_pools_a_dip():
    """Isotonic regression replaces 0.7 and 0.3 by their mean, 0.5, weighted by trials."""
    dipped = crossing([2, 4, 8, 16], [0.1, 0.7, 0.3, 0.9])
    pooled = crossing([2, 4, 8, 16], [0.1, 0.5, 0.5, 0.9])
    assert dipped.value == pytest.approx(pooled.value)


@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_crossing_scales_with_samples(seed, factor):
    samples, accuracy = noisy(20, np.random.default_rng(seed))
    base = crossing(samples, accuracy, resamples=40)
    scaled = crossing(samples * factor, accuracy, resamples=40)
    assert scaled.value == pytest.approx(factor * base.value)
    assert scaled.low == pytest.approx(factor * base.low)
    assert scaled.high == pytest.approx(factor * base.high)


@given(st.permutations(range(21)))
def test_crossing_independent_of_trial_order(order):
    samples, accuracy = noisy(20, np.random.default_rng(0))
    value = crossing(samples[order], accuracy[order], resamples=40).value
    assert value == pytest.approx(crossing(samples, accuracy, resamples=40).value)


@given(st.floats(0.05, 0.9), st.floats(0.01, 0.09))
def test_crossing_later_for_higher_level(level, more):
    samples = np.geomspace(0.1, 1e4, 25)
    accuracy = accuracy_at(samples, 20, 1.0)
    lower, higher = (crossing(samples, accuracy, level=value) for value in (level, level + more))
    assert lower.value < higher.value


@pytest.mark.parametrize(
    ("accuracy", "reason"),
    [
        ([0.7, 0.8, 0.9], "above 60 % already at the smallest measured count, 4"),
        ([0.1, 0.2, 0.3], "below 60 % up to the largest measured count, 16"),
    ],
)
def test_crossing_never_reached(accuracy, reason):
    found = crossing([4, 8, 16] * 2, accuracy * 2)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.reason == reason
    assert (found.smallest, found.largest) == (4, 16)


def test_crossing_interval_open_beyond_measured_range():
    samples = np.repeat([4, 8, 16], 3)
    accuracy = np.array([0.40, 0.55, 0.70, 0.5, 0.7, 0.9, 0.9, 0.95, 1.0])
    found = crossing(samples, accuracy)
    assert found.value is not None
    assert found.low is None
    assert found.high is not None
    assert found.reason == "interval open below"
    assert 0 < found.crossed < 1
    assert found.crossed == np.isfinite(found.replicates).mean()


def test_crossing_of_single_trials_has_no_interval():
    found = crossing([4, 8, 16], [0.2, 0.5, 0.9])
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert found.reason == "no interval: one trial at every count"
    assert math.isnan(found.crossed)


def test_crossing_of_equal_trials_has_zero_width():
    samples = np.repeat(GRID, 2)
    found = crossing(samples, accuracy_at(samples, 20))
    assert found.low == pytest.approx(found.value)
    assert found.high == pytest.approx(found.value)


@pytest.mark.parametrize("seeds", [2, 3])
def test_crossing_interval_coverage(seeds):
    """Nominally 95 %; of 200 draws more than 0.89 hold it with probability 0.999."""
    rng = np.random.default_rng(seeds)
    held = 0
    for repeat in range(200):
        threshold = math.exp(rng.uniform(math.log(8), math.log(80)))
        found = crossing(*noisy(threshold, rng, seeds=seeds), seed=repeat, resamples=200)
        assert found.value is not None
        held += (found.low or 0) <= threshold <= (found.high or math.inf)
    assert held / 200 > 0.89


def test_crossing_interval_widens_with_noise():
    widths = []
    for jitter in (0.05, 0.2, 0.4):
        found = crossing(*noisy(20, np.random.default_rng(4), jitter=jitter))
        widths.append(math.log(found.high / found.low))
    assert widths == sorted(widths)


def test_crossing_replicates_follow_seed():
    trials = noisy(20, np.random.default_rng(0))
    first, again, other = (crossing(*trials, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.replicates, again.replicates)
    assert not np.array_equal(first.replicates, other.replicates)
    assert first.value == other.value


@pytest.mark.parametrize(
    ("samples", "accuracy", "options", "sentence"),
    [
        ([], [], {}, "^samples has shape"),
        ([1, 2], [0.5], {}, "^samples has shape"),
        ([0, 2], [0.5, 0.6], {}, "^samples holds 0"),
        ([1, 2], [0.5, 60], {}, "^accuracy holds"),
        ([1, 2], [0.5, math.nan], {}, "^accuracy holds"),
        ([1, 2], [0.5, 0.7], {"level": 1}, "^level is 1"),
        ([1, 2], [0.5, 0.7], {"resamples": 3}, "^resamples is 3"),
    ],
)
def test_crossing_refuses_bad_arguments(samples, accuracy, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        crossing(samples, accuracy, **options)
