"""Threshold searches in experiment files: their axes, values, trials and mistakes."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.scaling.first_guess import first_guess
from factorlab.data.dataset import build
from factorlab.errors import UserError
from sweeps.execution import tune_runner
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.planning.search import continuation, curves, picked, threshold
from sweeps.planning.search.spec import AxisRange
from tests.helpers.experiments import write_experiment

SEARCH = {"threshold": {"axis": "data.subsample"}, "runs": 6}

AXES = {
    "data.size": [6, 8],
    "data.subsample": {"loguniform": [0.02, 1.0]},
    "seed": [0, 1, 2],
}


def search_plan(folder, **changes):
    content = {"axes": AXES, "search": SEARCH} | changes
    made = plan.make(load(str(write_experiment(folder / "small.yaml", **content))), folder / "runs")
    return continuation.continued(made)


@given(low=st.floats(1e-4, 1e3), factor=st.floats(1.5, 1e4))
def test_loguniform_values_have_two_digits_and_cover_the_range(low, factor):
    low = float(f"{low:.3g}")
    values = curves.candidates(AxisRange("loguniform", low, low * factor))
    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (low, low * factor)
    assert all(float(f"{value:.2g}") == value for value in values[1:-1])
    # Two digits leave no gap larger than from 10 to 11, and ends as much again.
    assert all(b / a < 1.1 * (1 + 1e-9) for a, b in itertools.pairwise(values))


@given(low=st.floats(-10, 10), span=st.floats(0.1, 1e4))
def test_uniform_values_are_evenly_spaced(low, span):
    low = round(low, 3)
    values = curves.candidates(AxisRange("uniform", low, low + span))
    gaps = np.diff(values)
    assert values[0] == low
    assert values[-1] <= low + span * (1 + 1e-9)
    assert 40 <= len(values) <= 101
    assert np.ptp(gaps) < 1e-6 * gaps[0] + 1e-9


def test_positions_are_numbers_of_samples(tmp_path):
    made = search_plan(tmp_path)
    small, large = curves.curves_of(made, curves.options_of(made))
    for line in (small, large):
        assert line.seeds == (0, 1, 2)
        assert len(set(line.positions)) == len(line.positions)
        for value, position in zip(line.values, line.positions, strict=True):
            run = made.at({**line.others, "data.subsample": value, "seed": 1}).run
            assert math.exp(position) == pytest.approx(build(run.data, run.seed).samples_2d)
    assert small.name == "size=6"


def test_finished_trials_of_earlier_sweeps_are_adopted(tmp_path):
    made = search_plan(tmp_path)
    assert made.trials == ()
    point = {"data.size": 8, "data.subsample": 0.25, "seed": 1}
    elsewhere = {"data.size": 8, "data.subsample": 0.251, "seed": 1}
    for at in (point, elsewhere):
        record = made.record(made.at(at))
        record.path.mkdir(parents=True)
        record.write_result({"metrics": {"accuracy": 0.5}, "steps": 6})
    (adopted,) = continuation.continued(made).trials
    assert adopted.key == made.at(point).key
    assert adopted.adopted == point
    assert continuation.continued(made).state().to_pick == SEARCH["runs"]
    picked.append(made, point, made.at(point))
    assert [t.adopted for t in continuation.continued(made).trials] == [None]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"search": {"threshold": {"axis": "data.spacing"}, "runs": 3}}, "needs the axis data.sp"),
        ({"search": {"threshold": {"level": 0.99}, "runs": 3}}, "level: allowed: from 0.05 to"),
        ({"search": {"threshold": {"width": 1.0}, "runs": 3}}, "width: a ratio; allowed: above 1"),
        ({"search": {"threshold": {"levels": 0.5}, "runs": 3}}, "unknown key 'threshold.levels'"),
        ({"axes": {"data.subsample": [0.1, 1.0]}}, "needs the axis seed"),
        ({"axes": AXES | {"data.sigma": {"uniform": [1, 2]}}}, "axes.data.sigma is a range"),
    ],
)
def test_mistakes_are_refused(tmp_path, changes, problem):
    with pytest.raises(UserError, match=problem):
        search_plan(tmp_path, **changes)


def test_threshold_leaves_no_room_for_an_algorithm(tmp_path):
    with pytest.raises(UserError, match="algorithm is given by the key threshold"):
        search_plan(tmp_path, search={**SEARCH, "algorithm": "random"})


def done(made, point, accuracy=0.5):
    """Write the result of a run; return the point's trial."""
    trial = made.at(point)
    record = made.record(trial)
    record.path.mkdir(parents=True)
    metrics = {"accuracy": accuracy, "validation_loss": 1.7}
    record.write_result({"metrics": metrics, "steps": 6})
    return trial


def test_adopted_trials_are_saved_with_the_plan(tmp_path):
    made = search_plan(tmp_path)
    trial = done(made, {"data.size": 8, "data.subsample": 0.25, "seed": 1})
    saved_plans.save(continuation.continued(made))
    assert saved_plans.find(made.runs, "small").keys == [trial.key]


def test_all_values_with_the_same_number_of_samples_are_adopted(tmp_path):
    made = search_plan(tmp_path)
    # 36 labels, of which all of these keep 18.
    for subsample in (0.49, 0.5, 0.51):
        done(made, {"data.size": 6, "data.subsample": subsample, "seed": 0})
    adopted = continuation.continued(made)
    assert len(adopted.trials) == 3
    assert threshold.of_plan(adopted).findings()[0].runs == 1  # they are one run


def test_values_of_a_whole_number_are_whole(tmp_path):
    axes = {"training.steps": {"loguniform": [100, 2000]}, "seed": [0]}
    made = search_plan(
        tmp_path, axes=axes, search={"threshold": {"axis": "training.steps"}, "runs": 3}
    )
    (line,) = curves.curves_of(made, curves.options_of(made))
    for value in line.values:
        assert made.at({"training.steps": value, "seed": 0}).run.training.steps == value
    assert len(line.values) > 80


LESION = {"held_out": {"kind": "lesion"}}


def test_width_of_a_lesion_can_be_searched(tmp_path):
    axes = {"data.held_out.width": [1, 2, 3], "seed": [0, 1]}
    search = {
        "threshold": {"axis": "data.held_out.width", "falling": True, "width": 0.5},
        "runs": 4,
    }
    made = search_plan(tmp_path, axes=axes, search=search, data=LESION)
    assert tune_runner._devices(made) == {"auto"}
    assert made.most_steps == made.base["training"]["steps"]
    assert threshold.of_plan(made).suggest() is not None
    assert len(threshold.guesses(made, 5)) == 5


def test_axes_may_hold_mappings(tmp_path):
    lesions = [{"kind": "lesion", "width": width} for width in (1, 2)]
    made = search_plan(tmp_path, axes={**AXES, "data.size": [6], "data.held_out": lesions})
    point = {
        "data.size": 6,
        "data.subsample": 0.5,
        "seed": 1,
        "data.held_out": lesions[1],
    }
    picked.append(made, point, done(made, point))
    runs = [finding.runs for finding in threshold.of_plan(continuation.continued(made)).findings()]
    assert runs == [0, 1]


def test_points_that_are_not_allowed_are_left_out(tmp_path):
    axes = {"data.sigma": {"uniform": [0, 2]}, "seed": [0]}
    search = {"threshold": {"axis": "data.sigma", "width": 0.2}, "runs": 3}
    made = search_plan(tmp_path, axes=axes, search=search)
    done(made, {"data.sigma": 1.0, "seed": 0})
    assert len(continuation.continued(made).trials) == 1


def test_metric_outside_0_and_1_is_refused(tmp_path):
    made = search_plan(tmp_path, search={**SEARCH, "metric": "validation_loss"})
    done(made, {"data.size": 8, "data.subsample": 0.25, "seed": 1})
    with pytest.raises(UserError, match=r"metric = validation_loss: .* from 0 to 1, not 1\.7"):
        continuation.continued(made)


def test_as_many_guesses_as_runs_are_made(tmp_path):
    made = search_plan(tmp_path)
    for count in (1, 3, 7):
        found = threshold.guesses(made, count)
        assert len({trial.key for trial in found}) == count
    # Random points below 1 / 36 keep no label.
    axes = {"data.subsample": {"loguniform": [0.001, 1.0]}, "seed": [0]}
    random = {"algorithm": "random", "metric": "accuracy", "mode": "max", "runs": 3}
    wide = plan.make(
        load(str(write_experiment(tmp_path / "wide.yaml", axes=axes, search=random))), tmp_path
    )
    assert [len(picked.guesses(wide, count)) for count in (1, 2, 5)] == [1, 2, 5]


@pytest.mark.parametrize(
    ("axis", "values", "options", "problem"),
    [
        ("data.family", ["bump", "sos"], {}, "needs numbers along its axis"),
        ("data.sigma", [1.0, [2.0, 2.0]], {}, "needs numbers along its axis"),
        ("training.weight_decay", [0.0, 0.1], {"scale": "log"}, "needs values above 0"),
        ("training.steps", {"randint": [3, 4]}, {}, "fewer than two values"),
        ("seed", [0, 1], {}, "the seed repeats runs"),
    ],
)
def test_axis_without_an_order_is_refused(tmp_path, axis, values, options, problem):
    search = {"threshold": {"axis": axis, **options}, "runs": 3}
    with pytest.raises(UserError, match=problem):
        search_plan(tmp_path, axes={"seed": [0], axis: values}, search=search)


def test_repeated_seeds_count_once(tmp_path):
    made = search_plan(tmp_path, axes={**AXES, "seed": [0, 0, 1], "data.size": [6, 6]})
    (line,) = curves.curves_of(made, curves.options_of(made))
    assert line.seeds == (0, 1)


@pytest.mark.parametrize("prior", ["percolation", "nearest"])
def test_prior_sets_where_the_search_begins_and_is_reported(tmp_path, prior):
    search = {"threshold": {"prior": prior, "level": [0.5, 0.7]}, "runs": 6}
    made = search_plan(tmp_path, search=search)
    for line in curves.curves_of(made, curves.options_of(made)):
        run = made.at({**line.others, "data.subsample": 1.0, "seed": 0}).run
        expected = {level: math.log(first_guess(run, prior, level)) for level in (0.5, 0.7)}
        assert line.guesses == expected
    found = threshold.of_plan(made)
    for finding in found.findings():
        assert finding.interval.middle == pytest.approx(finding.guess, abs=0.5)
        samples = finding.axis.text(finding.guess)
        assert str(finding).endswith(f"after 0 runs; the prior expected {samples}")
    plain = threshold.of_plan(search_plan(tmp_path))
    assert all("prior" not in str(finding) for finding in plain.findings())


@pytest.mark.parametrize(
    ("threshold", "axes", "problem"),
    [
        ({"prior": "magic"}, {}, r"threshold\.prior"),
        ({"prior": "nearest", "falling": True}, {}, "theories expect a rise along data.subsample"),
        ({"prior": "nearest", "scale": "linear"}, {}, "on a logarithmic scale"),
        (
            {"prior": "nearest", "axis": "training.steps"},
            {"training.steps": [10, 20], "data.subsample": [0.1, 0.2]},
            "theories expect a rise along data.subsample",
        ),
        (
            {"prior": "percolation"},
            {"data.family": ["bump", "sos"]},
            "prior = percolation: needs round bumps",
        ),
    ],
)
def test_prior_that_does_not_apply_is_refused(tmp_path, threshold, axes, problem):
    search = {"threshold": threshold, "runs": 6}
    with pytest.raises(UserError, match=problem):
        search_plan(tmp_path, axes=AXES | axes, search=search)
