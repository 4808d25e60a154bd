"""Crossings against closed forms, under noise, and of curves that do not cross."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.findings._rules.tables import needed
from analysis.scaling.thresholds import crossing, monotone_crossing
from tests.helpers.synthetic_trials import accuracy_at

GRID = np.array([2.0, 5, 11, 22, 45, 112, 225])


def noisy(threshold, rng, *, seeds=3, steepness=2.0, jitter=0.25):
    """Trials with thresholds of their own, which scatter about the true one."""
    samples = np.repeat(GRID, seeds)
    own = threshold * np.exp(jitter * rng.normal(size=samples.size))
    return samples, accuracy_at(samples, own, steepness)


@given(st.floats(6, 100), st.floats(0.5, 1.2), st.floats(0.1, 0.9))
def test_monotone_crossing_recovers_logistic_curve(threshold, steepness, level):
    """Unless a neighbour saturates, log-odds are linear in log(samples)."""
    samples = np.geomspace(0.01, 20000, 40)
    found = monotone_crossing(samples, accuracy_at(samples, threshold, steepness), level=level)
    shift = math.log(level / (1 - level)) - math.log(0.6 / 0.4)
    assert found == pytest.approx(threshold * math.exp(shift / steepness))


def test_monotone_crossing_at_measured_level():
    assert monotone_crossing([4, 8, 16], [0.2, 0.6, 0.9]) == pytest.approx(8)
    assert monotone_crossing([4, 8, 16], [0.6, 0.7, 0.9]) == pytest.approx(4)
    assert monotone_crossing([4, 8, 16], [0.2, 0.4, 0.6]) == pytest.approx(16)


def test_monotone_crossing_of_saturated_step():
    found = monotone_crossing([4, 8, 16, 32], [0, 0, 1, 1], level=0.5)
    assert found == pytest.approx(math.sqrt(8 * 16))


def test_monotone_crossing_pools_a_dip():
    """Isotonic regression replaces 0.7 and 0.3 by their mean, 0.5, weighted by trials."""
    dipped = monotone_crossing([2, 4, 8, 16], [0.1, 0.7, 0.3, 0.9])
    pooled = monotone_crossing([2, 4, 8, 16], [0.1, 0.5, 0.5, 0.9])
    assert dipped == pytest.approx(pooled)


@pytest.mark.parametrize("accuracy", [[0.7, 0.8, 0.9], [0.1, 0.2, 0.3]])
def test_monotone_crossing_never_reached(accuracy):
    assert monotone_crossing([4, 8, 16], accuracy) is None


@settings(max_examples=25)
@given(st.floats(6, 100), st.floats(0.7, 4), st.floats(0.2, 0.8))
def test_crossing_of_noiseless_logistic_curve(threshold, steepness, level):
    samples = np.geomspace(0.1, 5000, 50)
    found = crossing(samples, accuracy_at(samples, threshold, steepness), level=level)
    shift = math.log(level / (1 - level)) - math.log(0.6 / 0.4)
    truth = threshold * math.exp(shift / steepness)
    assert found.low < found.value < found.high
    # A quarter of the transition: the model has noise, and accuracies are rounded to 1 / 40.
    assert math.log(found.value / truth) == pytest.approx(0, abs=0.25 / steepness)
    assert found.monotone == pytest.approx(truth, rel=0.1)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_crossing_scales_with_samples(seed, factor):
    samples, accuracy = noisy(20, np.random.default_rng(seed))
    base, scaled = crossing(samples, accuracy), crossing(samples * factor, accuracy)
    # The posterior is held in float32; 1e-4 is 1/100 of the spacing of `Crossing.points`.
    for name in ("value", "low", "high"):
        assert getattr(scaled, name) == pytest.approx(factor * getattr(base, name), rel=1e-4)


@settings(max_examples=25)
@given(st.permutations(range(21)))
def test_crossing_independent_of_trial_order(order):
    samples, accuracy = noisy(20, np.random.default_rng(0))
    assert crossing(samples[order], accuracy[order]).value == crossing(samples, accuracy).value


@settings(max_examples=25)
@given(st.floats(0.05, 0.85), st.floats(0.02, 0.09))
def test_crossing_later_for_higher_level(level, more):
    samples = np.geomspace(0.1, 1e4, 25)
    accuracy = accuracy_at(samples, 20, 1.0)
    lower, higher = (crossing(samples, accuracy, level=value) for value in (level, level + more))
    assert lower.value < higher.value


@pytest.mark.parametrize(
    ("accuracy", "side", "reason", "text"),
    [
        (
            [0.65, 0.8, 0.9],
            "below",
            "above 60 % already at the smallest measured count, 4",
            "under 4",
        ),
        (
            [0.7, 0.8, 0.9],
            "below",
            "above 60 % already at the smallest measured count, 4",
            "under 4",
        ),
        ([0.1, 0.2, 0.3], "above", "below 60 % up to the largest measured count, 16", "over 16"),
    ],
)
def test_crossing_never_reached(accuracy, side, reason, text):
    found = crossing([4, 8, 16] * 2, accuracy * 2)
    assert (found.value, found.low, found.high) == (None, None, None)
    percent = math.floor(100 * found.outside)
    assert found.reason in (reason, f"probably ({percent} %) {reason}")
    assert ("probably" in found.reason) == (found.outside <= 0.995)
    assert (found.smallest, found.largest) == (4, 16)
    assert found.outside > 0.5
    assert found.side == side
    assert needed(found) == (0.0 if side == "below" else math.inf, text)


def test_crossing_interval_open_beyond_measured_range():
    samples = np.repeat([4, 8, 16], 3)
    accuracy = np.array([0.40, 0.55, 0.70, 0.5, 0.7, 0.9, 0.9, 0.95, 1.0])
    found = crossing(samples, accuracy)
    assert found.value is not None
    assert found.low is None
    assert found.high is not None
    assert found.reason == "interval open below"
    assert 0.025 < found.outside < 0.5


def test_crossing_of_single_trials_has_a_wide_interval():
    one, three = (crossing(np.repeat(GRID, n), accuracy_at(np.repeat(GRID, n), 20)) for n in (1, 3))
    assert one.low < three.low < 20 < three.high < one.high


def test_crossing_names_a_monotone_fit_that_contradicts_it():
    """A plateau just above the level is no logistic curve."""
    samples = np.repeat(np.geomspace(1, 1000, 13), 3)
    accuracy = np.where(samples < 10, 0.02, np.where(samples < 300, 0.65, 0.99))
    found = crossing(samples, accuracy)
    assert found.low > found.monotone
    assert found.reason == "a monotone fit crosses at 9.73: look at the trials"


@pytest.mark.parametrize(
    "accuracy",
    [
        [0.02, 0.1, 0.3, 0.5, 0.55, 0.55, 0.55, 0.55],
        [0.3, 0.3, 0.62, 0.5, 0.55, 0.5, 0.52, 0.58],
    ],
)
def test_crossing_of_a_plateau_below_the_level_has_no_value(accuracy):
    found = crossing(np.repeat(2.0 ** np.arange(1, 9), 3), np.repeat(accuracy, 3))
    assert (found.value, found.low, found.high, found.monotone) == (None, None, None, None)
    assert "60 %" in found.reason


def test_crossing_density_is_one_in_total():
    found = crossing(*noisy(20, np.random.default_rng(1)))
    step = found.points[1] - found.points[0]
    # The sum over even points of a density that is linear between the points of its grid.
    assert found.density.sum() * step == pytest.approx(1, abs=0.02)
    below = found.density[found.points < math.log(found.value)].sum() * step
    assert below == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("seeds", [1, 3])
def test_crossing_interval_coverage(seeds):
    """Nominally 95 %; of 120 draws more than 0.87 hold it with probability 0.999."""
    rng = np.random.default_rng(seeds)
    held = 0
    for _ in range(120):
        threshold = math.exp(rng.uniform(math.log(8), math.log(80)))
        found = crossing(*noisy(threshold, rng, seeds=seeds))
        assert found.value is not None
        held += (found.low or 0) <= threshold <= (found.high or math.inf)
    assert held / 120 > 0.87


def test_crossing_interval_widens_with_noise():
    widths = []
    for jitter in (0.05, 0.2, 0.4):
        found = crossing(*noisy(20, np.random.default_rng(4), jitter=jitter))
        widths.append(math.log(found.high / found.low))
    assert widths == sorted(widths)


@pytest.mark.parametrize(
    ("samples", "accuracy", "options", "sentence"),
    [
        ([], [], {}, "^samples has shape"),
        ([1, 2], [0.5], {}, "^samples has shape"),
        ([0, 2], [0.5, 0.6], {}, "^samples holds 0"),
        ([1, 2], [0.5, 60], {}, "^accuracy holds"),
        ([1, 2], [0.5, math.nan], {}, "^accuracy holds"),
        ([1, 2], [0.5, 0.7], {"level": 1}, "^level is 1"),
    ],
)
@pytest.mark.parametrize("estimate", [crossing, monotone_crossing])
def test_crossing_refuses_bad_arguments(estimate, samples, accuracy, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimate(samples, accuracy, **options)
