"""The threshold search, on simulated curves."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.scaling.threshold_curves import Axis, Curve
from analysis.scaling.threshold_search import FEWEST, ThresholdSearch
from tests.helpers.synthetic_trials import SimulatedCurve, scaling_curve, sites

WIDTH = math.log(1.35)

AXIS = Axis("data.subsample", log=True)


def curve(size=10, seeds=3):
    """Return a curve with positions 0.1 apart from 2 samples to the whole lattice."""
    positions = np.arange(math.log(2), math.log(sites(size)), 0.1)
    return line_of({"data.size": size}, tuple(positions), range(seeds))


def line_of(others, positions, seeds):
    """Return a curve whose values are its positions."""
    places = {position: place for place, position in enumerate(positions)}
    return Curve(others, positions, places, positions, tuple(seeds), 400)


def searched(truths, lines, width=WIDTH, workers=1, limit=200, falling=False):
    """Run a search to its end; return it and the suggested runs in order."""
    search = ThresholdSearch(lines, [0.6], width, AXIS, falling=falling)
    suggested, pending = [], []
    while (place := search.suggest()) is not None and len(suggested) < limit:
        suggested.append(place)
        pending.append(place)
        if len(pending) == workers:
            answer(search, truths, pending.pop(0))
    return search, suggested


def answer(search, truths, place):
    """Tell a search the result of a run, which depends on its place and seed alone."""
    line, index, seed = place
    rng = np.random.default_rng([line, index, seed])
    position = search.curves[line].positions[index]
    search.measured(*place, float(truths[line].run(rng, position)))


def test_search_finds_crossings_and_spends_runs_where_they_are_needed():
    truths = [SimulatedCurve(2.0, noise=0.2), SimulatedCurve(3.5, noise=0.8)]
    search, suggested = searched(truths, [curve(), curve()])
    found = search.findings()
    assert [finding.over for finding in found] == ["found", "found"]
    for finding, truth in zip(found, truths, strict=True):
        assert finding.interval.width <= WIDTH
        # 90 % intervals; three times their half width is exceeded in one of a million.
        assert abs(finding.interval.middle - truth.crossing) < 1.5 * finding.interval.width
    first, second = (sum(1 for line, *_ in suggested if line == i) for i in (0, 1))
    assert FEWEST <= first < second


@given(seed=st.integers(0, 10**6), workers=st.integers(1, 5))
@settings(max_examples=10, deadline=None)
def test_no_run_is_suggested_twice_and_seeds_take_turns(seed, workers):
    truths = [scaling_curve(np.random.default_rng(seed), 10)]
    _, suggested = searched(truths, [curve()], workers=workers)
    assert len(set(suggested)) == len(suggested)
    counts = np.bincount([s for *_, s in suggested], minlength=3)
    assert counts.max() - counts.min() <= 2


@given(seed=st.integers(0, 10**6), stop=st.integers(0, 12), order=st.randoms())
@settings(max_examples=10, deadline=None)
def test_search_that_was_killed_goes_on_as_it_would_have(seed, stop, order):
    truths = [scaling_curve(np.random.default_rng([seed, i]), 10) for i in range(2)]
    lines = [curve(), curve()]
    _, whole = searched(truths, lines)
    again = ThresholdSearch(lines, [0.6], WIDTH, AXIS)
    done = whole[:stop]
    order.shuffle(done)
    for place in done:
        answer(again, truths, place)
    assert again.suggest() == (whole[stop] if stop < len(whole) else None)


def test_runs_that_are_pending_are_taken_into_account():
    search = ThresholdSearch([curve()], [0.6], 0.1, AXIS)
    for place in ((0, 10, 0), (0, 20, 0), (0, 30, 0), (0, 24, 1)):
        answer(search, [SimulatedCurve(2.8)], place)
    lone = search.suggest()
    others = [search.suggest() for _ in range(5)]
    assert len({lone, *others}) == 6
    again = ThresholdSearch([curve()], [0.6], 0.1, AXIS)
    for place in ((0, 10, 0), (0, 20, 0), (0, 30, 0), (0, 24, 1)):
        answer(again, [SimulatedCurve(2.8)], place)
    for place in (lone, *others[:2]):
        again.started(*place)
    assert again.suggest() == others[2]


def test_lost_run_is_not_suggested_again():
    search = ThresholdSearch([curve()], [0.6], 0.1, AXIS)
    seen = set()
    for _ in range(10):
        place = search.suggest()
        assert place not in seen
        seen.add(place)
        search.lost(*place)


@pytest.mark.parametrize(("crossing", "side"), [(-3.0, "below"), (20.0, "above")])
def test_crossing_outside_the_range_is_told(crossing, side):
    search, suggested = searched([SimulatedCurve(crossing)], [curve()])
    assert search.findings()[0].over == f"the crossing is {side} the range"
    assert len(suggested) < 20


def test_ceiling_below_the_level_ends_without_a_crossing():
    search, _ = searched([SimulatedCurve(2.0, ceiling=0.4)], [curve()])
    (finding,) = search.findings()
    assert finding.over == "the crossing is above the range"


def told_of(accuracy_at):
    """Return what a search says of a curve, given by the accuracy at each place."""
    search = ThresholdSearch([curve()], [0.6], 0.1, AXIS)
    for seed, place in itertools.product(range(3), range(0, len(curve().values), 4)):
        search.measured(0, place, seed, accuracy_at(place))
    return str(search.findings()[0])


def test_curve_that_is_not_monotone_is_told():
    told = told_of(lambda place: 0.8 if 8 <= place <= 16 or place > 40 else 0.1)
    assert "runs are far from the fitted curve" in told


def test_curve_that_is_not_logistic_is_told():
    # Two steps, the first of which ends just above the level.
    told = told_of(lambda place: 0.05 if place < 12 else 0.61 if place < 40 else 0.99)
    assert "a monotone fit crosses at" in told


def test_logistic_curve_needs_no_warning():
    fine, _ = searched([SimulatedCurve(2.5)], [curve()])
    assert "look at" not in str(fine.findings()[0])


def test_forecast_holds_the_number_of_runs_that_a_search_takes():
    counts, forecast = [], ThresholdSearch([curve()], [0.6], WIDTH, AXIS).expected_runs(100, 20)
    for seed in range(20):
        truth = scaling_curve(np.random.default_rng(seed), 10)
        counts.append(len(searched([truth], [curve()])[1]))
    low, middle, high = forecast
    assert low <= middle <= high
    # The forecast draws from the prior, which holds wider transitions and more scatter.
    assert low <= np.median(counts) <= high
    capped = ThresholdSearch([curve()], [0.6], WIDTH, AXIS).expected_runs(3, 5)
    assert capped == (3, 3, 3)


def test_values_that_run_out_end_a_search():
    line = line_of({}, (0.0, math.log(2.0)), [0])
    search, suggested = searched([SimulatedCurve(0.3)], [line], width=1e-6)
    assert len(suggested) == 2
    assert search.findings()[0].over == "all values were tried"


def test_falling_curve_is_found():
    line = curve()
    search = ThresholdSearch([line], [0.6], WIDTH, AXIS, falling=True)
    truth = SimulatedCurve(-3.0)  # mirrored
    while (place := search.suggest()) is not None:
        rng = np.random.default_rng([*place])
        search.measured(*place, float(truth.run(rng, -line.positions[place[1]])))
    finding = search.findings()[0]
    assert finding.over == "found"
    assert abs(finding.interval.middle - 3.0) < 1.5 * finding.interval.width


@pytest.mark.parametrize("falling", [False, True])
def test_linear_positions_may_be_large(falling):
    line = line_of({}, tuple(float(steps) for steps in range(100, 2001, 100)), [0, 1])
    search = ThresholdSearch(
        [line], [0.6], 50.0, Axis("training.steps", log=False), falling=falling
    )
    truth = SimulatedCurve(-900.0 if falling else 900.0, width=100.0)
    while (place := search.suggest()) is not None:
        position = line.positions[place[1]]
        rng = np.random.default_rng([*place])
        search.measured(*place, float(truth.run(rng, -position if falling else position)))
    finding = search.findings()[0]
    assert abs(finding.interval.middle - 900) < 1.5 * finding.interval.width
    assert "look at" not in str(finding)


def test_search_waits_for_pending_runs_before_it_finishes():
    truths = [SimulatedCurve(2.5)]
    search, suggested = searched(truths, [curve()], workers=4)
    assert search.over() is None
    assert search.pending
    for place in suggested[-4:]:
        answer(search, truths, place)
    assert not search.pending


def test_plateau_below_the_level_is_named():
    line = curve()
    search = ThresholdSearch([line], [0.6], 1.0, AXIS)
    for place in range(0, len(line.values), 4):
        for seed in line.seeds:
            accuracy = float(np.interp(line.positions[place], [1.5, 3.0], [0.1, 0.56]))
            search.measured(0, place, seed, accuracy)
    (finding,) = search.findings()
    assert str(finding).endswith("found; a monotone fit does not cross 60 %: look at the runs")
