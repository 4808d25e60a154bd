"""The posterior of a crossing, against sampling from its model and against symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr
from scipy.stats import norm

from analysis.scaling import posterior as module
from analysis.scaling import response
from analysis.scaling.posterior import CrossingPosterior
from analysis.scaling.response import REACH, STEP, bin_of, responses

LEVEL, LABELS = 0.6, 400


def shapes():
    """Return noise, ceiling and floor of each shape of the table."""
    lists = (response._NOISE, response._CEILING, response._FLOOR)
    return np.array(np.meshgrid(*lists, indexing="ij")).reshape(3, -1)


def offsets():
    """Return by bisection where each mean curve crosses the level without an offset."""
    noise, ceiling, floor = shapes()
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    low, high = np.full(noise.shape, -20.0), np.full(noise.shape, 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        runs = expit(middle[:, None] - noise[:, None] * nodes)
        mean = floor + (ceiling - floor) * (runs @ weights) / weights.sum()
        low, high = np.where(mean < LEVEL, middle, low), np.where(mean < LEVEL, high, middle)
    return low


def measure(rng, distance, noise, ceiling, floor, offset):
    """Return the accuracy of a run at a distance from the crossing, by the model in words."""
    if rng.random() < response.OUTLIERS:
        return rng.random()
    accuracy = floor + (ceiling - floor) * expit(distance + offset - noise * rng.normal())
    return rng.binomial(LABELS, accuracy) / LABELS


def test_probabilities_sum_to_one():
    table = responses(LEVEL, LABELS)
    # 41 numbers in float32, each rounded by at most half of its last bit.
    assert np.abs(table.fine.sum(axis=-1) - 1).max() < 41 * np.finfo(np.float32).eps
    assert np.abs(table.coarse.sum(axis=-1) - 1).max() < 10 * np.finfo(np.float32).eps


def test_mean_crosses_the_level_at_zero():
    table = responses(LEVEL, LABELS)
    middle = table.mean[round(REACH / STEP)]
    # The offset is interpolated linearly between distances of 0.1: at most 0.1^2 / 8 of the largest
    # second derivative of a logistic curve, 0.1.
    assert np.abs(middle - LEVEL).max() < STEP**2 / 8 * 0.1 + 1e-4


@pytest.mark.parametrize("distance", [-2.0, 0.0, 1.5])
@pytest.mark.parametrize("shape", [0, 20, 40])
def test_table_has_the_frequencies_of_the_model(distance, shape):
    rng = np.random.default_rng([shape, round(10 * distance) + 100])
    parameters = [*shapes()[:, shape], offsets()[shape]]
    runs = 4000
    bins = [bin_of(measure(rng, distance, *parameters)) for _ in range(runs)]
    expected = responses(LEVEL, LABELS).fine[round((distance + REACH) / STEP), shape]
    shares = np.bincount(bins, minlength=len(expected)) / runs
    # Kolmogorov's distance exceeds 1.95 / sqrt(runs) in one of a thousand cases. An accuracy on the
    # border of two bins, which has at most a tenth of a bin's runs, may be in either.
    allowed = 1.95 / math.sqrt(runs) + 0.1 * expected.max()
    assert np.abs(np.cumsum(shares) - np.cumsum(expected)).max() < allowed


def test_posterior_agrees_with_direct_integration():
    low, high = math.log(2), math.log(600)
    span = high - low
    runs = [(2.0, 0.1), (3.0, 0.47), (3.4, 0.7), (3.2, 0.66), (4.5, 0.98)]
    found = CrossingPosterior(low, high)
    for run in runs:
        found.observe(*run)

    noise, ceiling, floor = shapes()
    offset = offsets()
    crossings = np.linspace(low - 0.15 * span, high + 0.15 * span, 500)
    widths = span * np.geomspace(1 / 60, 1 / 2.5, module._WIDTHS)  # the prior, not an approximation
    likelihood = np.ones((len(crossings), len(widths), len(noise)))
    shifts = np.linspace(-4, 4, 161)
    weights = norm.pdf(shifts) / norm.pdf(shifts).sum()
    for position, accuracy in runs:
        distance = (position - crossings[:, None]) / widths
        inside = np.zeros_like(likelihood)
        for shift, weight in zip(shifts, weights, strict=True):
            mean = floor + (ceiling - floor) * expit(distance[..., None] + offset - noise * shift)
            error = np.sqrt(mean * (1 - mean) / LABELS + 1e-12)
            edges = (bin_of(accuracy) + np.array([-0.5, 0.5])) / 40
            inside += weight * np.diff([ndtr((edge - mean) / error) for edge in edges], axis=0)[0]
        likelihood *= (1 - response.OUTLIERS) * inside + response.OUTLIERS / response.BINS
    marginal = (likelihood * responses(LEVEL, LABELS).weights).sum(axis=(1, 2))
    cumulated = np.cumsum(marginal) / marginal.sum()
    expected = np.interp([0.05, 0.5, 0.95], cumulated - marginal / marginal.sum() / 2, crossings)
    interval = found.interval()
    # The table is linear between distances of 0.1, and the posterior has 120 crossings.
    assert [interval.low, interval.middle, interval.high] == pytest.approx(
        expected, abs=0.02 * interval.width
    )


def observed(seed, *, low, high, truth, runs=12, sign=1.0):
    """Return a posterior of runs of a curve with a crossing at `truth`."""
    rng = np.random.default_rng(seed)
    found = CrossingPosterior(low, high, falling=sign < 0)
    for _ in range(runs):
        position = rng.uniform(low, high)
        found.observe(position, measure(rng, sign * (position - truth) / 0.5, 0.4, 1.0, 0.0, 0.4))
    return found


@given(seed=st.integers(0, 1000), shift=st.floats(-50, 50))
@settings(max_examples=20, deadline=None)
def test_interval_moves_with_the_positions(seed, shift):
    found = observed(seed, low=0.0, high=6.0, truth=3.0)
    moved = CrossingPosterior(shift, 6.0 + shift)
    for position, accuracy in found.runs:
        moved.observe(position + shift, accuracy)
    # The distances differ by roundings of 50 in float64, and weights by those of float32.
    assert moved.interval().middle - shift == pytest.approx(found.interval().middle, abs=1e-3)
    assert moved.interval().width == pytest.approx(found.interval().width, rel=1e-2)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_falling_curve_is_the_mirror_image(seed):
    found = observed(seed, low=-6.0, high=0.0, truth=-2.0)
    mirror = CrossingPosterior(0.0, 6.0, falling=True)
    for position, accuracy in found.runs:
        mirror.observe(-position, accuracy)
    one, other = found.interval(), mirror.interval()
    assert (other.low, other.middle, other.high) == pytest.approx(
        (-one.high, -one.middle, -one.low), abs=1e-6
    )
    assert mirror.outside() == pytest.approx(found.outside()[::-1], abs=1e-6)
    assert mirror.masses(8) == pytest.approx(found.masses(8)[::-1], abs=1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_masses_are_those_of_equal_parts_of_the_range(seed):
    found = observed(seed, low=0.0, high=6.0, truth=3.0)
    masses = found.masses(12)
    expected = [
        found.probability_below(0.5 * i + 0.5) - found.probability_below(0.5 * i) for i in range(12)
    ]
    assert masses == pytest.approx(expected, abs=1e-9)
    assert (masses >= 0).all()


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_run_is_not_expected_to_widen(seed):
    found = observed(seed, low=0.0, high=6.0, truth=3.0, runs=5)
    weight, crossings = found._marginal(), found._crossings
    before = weight @ crossings**2 - (weight @ crossings) ** 2
    after = found.variance_after(np.linspace(0, 6, 13))
    # The law of total variance; 300 draws have the variance up to a few percent.
    assert (after <= before * 1.1).all()
    assert after.min() < 0.9 * before


def test_next_run_is_near_the_crossing():
    found = observed(3, low=0.0, high=6.0, truth=3.0, runs=30)
    positions = np.linspace(0, 6, 61)
    best = positions[found.variance_after(positions).argmin()]
    assert abs(best - found.interval().middle) < 1.0


def test_one_run_that_did_not_learn_moves_little():
    found = observed(4, low=0.0, high=6.0, truth=3.0, runs=30)
    before = found.interval()
    found.observe(5.5, 0.0)
    after = found.interval()
    assert abs(after.middle - before.middle) < 0.5 * before.width
    assert after.width < 2 * before.width


def test_runs_that_contradict_the_first_ones_are_believed():
    found = CrossingPosterior(0.0, 6.0)
    for _ in range(6):
        found.observe(1.0, 0.6)
    early = found.interval()
    for _ in range(40):
        found.observe(1.0, 0.0)
        found.observe(5.0, 0.6)
    assert early.high < 2.5
    assert found.interval().low > 3.5


@pytest.mark.parametrize(("accuracy", "side"), [(0.02, 1), (0.99, 0)])
def test_crossing_outside_the_range_is_told(accuracy, side):
    found = CrossingPosterior(0.0, 6.0)
    for position in (0.0, 3.0, 6.0, 0.0, 6.0):
        found.observe(position, accuracy)
    assert found.outside()[side] > 0.9


def test_prior_moves_the_start_and_yields_to_runs():
    with_prior = CrossingPosterior(0.0, 6.0, prior=(1.0, 0.3))
    assert with_prior.interval().middle == pytest.approx(1.0, abs=0.4)
    for _ in range(5):
        with_prior.observe(4.0, 0.6)
        with_prior.observe(3.0, 0.2)
        with_prior.observe(5.0, 0.9)
    assert with_prior.interval().low > 3.0


@pytest.mark.parametrize(("position", "accuracy"), [(1.0, 1.1), (1.0, -0.1), (math.nan, 0.5)])
def test_impossible_runs_are_refused(position, accuracy):
    with pytest.raises(ValueError, match="accuracy"):
        CrossingPosterior(0.0, 6.0).observe(position, accuracy)


def test_empty_range_and_extreme_level_are_refused():
    with pytest.raises(ValueError, match="range"):
        CrossingPosterior(1.0, 1.0)
    with pytest.raises(ValueError, match="level"):
        CrossingPosterior(0.0, 1.0, level=0.999)
