"""What a search picks: packs of runs, within its budget."""

import pytest

from factorlab.errors import UserError
from sweeps.execution.assignments import Assignments
from sweeps.execution.guided import tune_parts
from sweeps.execution.guided.run_search import RunSearch
from sweeps.execution.guided.scheduler import PickingSearcher
from sweeps.execution.outcomes import Outcomes
from sweeps.planning import plan, saved_plans
from sweeps.planning.cost.estimate import Estimator
from sweeps.planning.cost.pack_limits import PackLimits
from sweeps.planning.experiment import load
from sweeps.planning.search import continuation, picked, threshold
from tests.helpers.experiments import write_experiment
from tests.helpers.processes import factorlab

AXES = {
    "data.family": ["bump", "sos"],
    "data.size": [6, 7],
    "data.subsample": {"loguniform": [0.05, 1.0]},
    "seed": [0, 1, 2],
}


def plan_of(folder, axes=AXES, **search):
    content = {"threshold": {"level": 0.3}, "runs": 20} | search
    path = write_experiment(folder / "packs.yaml", axes=axes, search=content)
    return continuation.continued(plan.make(load(str(path)), folder / "runs"))


def search_of(made, announced):
    return RunSearch(tune_parts.searcher(made), made, announced.append)


def points(made, pack):
    known = picked.points(made)
    return [known[trial.key] for trial in pack]


def test_pack_holds_two_runs_of_each_curve_of_a_shape(tmp_path):
    made, announced = plan_of(tmp_path), []
    pack = search_of(made, announced).pick_pack(lambda _: 8)
    assert announced == pack
    assert len({trial.run.shape for trial in pack}) == 1
    assert len({trial.key for trial in pack}) == len(pack) == 4
    families = [trial.run.data.family for trial in pack]
    assert sorted(families) == ["bump", "bump", "sos", "sos"]


@pytest.mark.parametrize("most", [1, 3])
def test_pack_is_as_large_as_allowed(tmp_path, most):
    assert len(search_of(plan_of(tmp_path), []).pick_pack(lambda _: most)) == most


def test_pack_stops_at_the_budget(tmp_path):
    search = search_of(plan_of(tmp_path, runs=3), [])
    assert len(search.pick_pack(lambda _: 8)) == 3
    assert search.pick_pack(lambda _: 8) == []


def test_runs_along_an_axis_that_changes_the_shape_train_alone(tmp_path):
    axes = {"model.width": [4, 8, 12], "data.family": ["bump", "sos"], "seed": [0, 1]}
    made = plan_of(tmp_path, axes, threshold={"axis": "model.width", "level": 0.3})
    assert len(search_of(made, []).pick_pack(lambda _: 8)) == 1
    assert not threshold.most_together(made)


def test_other_searches_pick_runs_one_by_one(tmp_path):
    search = {"algorithm": "random", "metric": "accuracy", "mode": "max", "runs": 9}
    path = write_experiment(tmp_path / "alone.yaml", axes=AXES, search=search)
    made = plan.make(load(str(path)), tmp_path / "runs")
    assert len(search_of(made, []).pick_pack(lambda _: 8)) == 1
    with pytest.raises(UserError, match="runs of this search or with a scheduler train alone"):
        load(str(write_experiment(path, axes=AXES, search=search, resources={"pack": 2})))


@pytest.mark.parametrize(
    ("limits", "parallel", "sizes"),
    [
        (PackLimits(1, 4), None, [4, 4]),
        (PackLimits(4, 8), None, [4, 4]),
        (PackLimits(5, 8), None, [1, 1, 1, 1]),  # the four runs of a shape are too few
        (PackLimits(1, 4), 8, [1, 1]),
    ],
)
def test_searcher_hands_out_packs_within_the_limits(tmp_path, limits, parallel, sizes):
    made = plan_of(tmp_path)
    shapes = {made.at(point).run.shape for point in points_of_all_shapes()}
    searcher = PickingSearcher(
        Assignments([]),
        Outcomes(),
        lambda: 100,
        parallel,
        search_of(made, []),
        dict.fromkeys(shapes, limits),
    )
    found = [searcher.suggest(str(number))["pack"] for number in range(len(sizes))]
    assert [len(pack) for pack in found] == sizes


def points_of_all_shapes():
    common = {"data.family": "bump", "data.subsample": 1.0, "seed": 0}
    return [{**common, "data.size": size} for size in AXES["data.size"]]


@pytest.mark.slow
def test_sweep_of_packs(tmp_path):
    axes = {**AXES, "data.size": [6]}
    search = {"threshold": {"level": 0.3, "width": 2.5}, "runs": 12}
    write_experiment(tmp_path / "packs.yaml", axes=axes, search=search, resources={"pack": 4})
    planned = factorlab("sweep", "packs.yaml", "--dry-run", cwd=tmp_path)
    assert "in packs of up to 4" in planned.stdout
    ended = factorlab("sweep", "packs.yaml", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    found = saved_plans.find(tmp_path / "runs", "packs")
    first = points(found, found.trials[:4])
    assert sorted(point["data.family"] for point in first) == ["bump", "bump", "sos", "sos"]
    assert found.state().counts() == {"done": len(found.trials)}
    again = factorlab("sweep", "packs.yaml", cwd=tmp_path)
    assert "nothing left to train" in again.stderr


@pytest.mark.parametrize(
    ("limits", "count", "why"),
    [
        ({"runs": 3}, 3, "3 runs were picked"),
        ({"runs": 9, "steps": 13}, 3, "18 steps were picked"),
        ({"runs": 9, "steps": 12}, 2, "12 steps were picked"),
        ({"runs": 2, "steps": 12}, 2, "2 runs were picked"),
    ],
)
def test_search_ends_at_its_budget(tmp_path, limits, count, why):
    made = plan_of(tmp_path, **limits)
    assert made.at(next(iter(points_of_all_shapes()))).run.training.steps == 6
    assert made.state().to_pick == count
    search = search_of(made, [])
    picks = 0
    while search.pick() is not None:
        picks += 1
    assert (picks, search.why_over) == (count, why)
    again = continuation.continued(made)
    assert again.state().to_pick == 0
    assert search_of(again, []).why_over == why


def test_search_ends_at_its_hours(tmp_path):
    made, announced = plan_of(tmp_path, hours=0.5), []
    search = search_of(made, announced)
    for number, seconds in enumerate((1000.0, 500.0, 300.0)):
        trial = search.pick()
        assert trial is not None, number
        done(made, trial, {"train": seconds - 10, "evaluate": 10})
        search.end(trial.key, "done")
    assert search.pick() is None
    assert search.why_over == "its runs took 0.5 hours"
    assert continuation.continued(made).state().to_pick == 0


def done(made, trial, seconds):
    """Write the result of a trial."""
    record = made.record(trial)
    record.path.mkdir(parents=True)
    record.write_result({"steps": 6, "metrics": {"accuracy": 0.5}, "seconds": seconds})


def test_runs_whose_shape_follows_the_axis_train_alone(tmp_path):
    axes = {"data.family": ["bump", "sos"], "data.subsample": [0.2, 0.5, 1.0], "seed": [0]}
    search = {"threshold": {"level": 0.3}, "runs": 9}
    path = write_experiment(tmp_path / "tied.yaml", axes=axes, search=search)
    tied = 'tied: {training.batch_size: {data.subsample: {"0.2": 4, "0.5": 8, "1.0": 4}}}'
    path.write_text(f"{path.read_text()}\n{tied}\n")
    made = continuation.continued(plan.make(load(str(path)), tmp_path / "runs"))
    assert len(search_of(made, []).pick_pack(lambda _: 8)) == 1


@pytest.mark.parametrize("curves", [1, 2, 3, 4, 8])
def test_pack_limits_of_a_search_keep_their_rule(tmp_path, curves):
    sigmas = [float(sigma) for sigma in range(1, curves + 1)]
    axes = {**AXES, "data.family": ["bump"], "data.size": [6], "data.sigma": sigmas}
    made = plan_of(tmp_path, axes)
    state = made.state()
    guesses = threshold.guesses(made, 20)
    for found in (PackLimits(4, 8), PackLimits(1, 16), PackLimits(1, 1)):
        estimator = Estimator(state, guesses)
        limits = estimator._limits(guesses[0].run.shape, found)
        assert limits.most <= min(found.most, 2 * curves)
        assert limits.most >= 2 * limits.fewest or limits.most == 1 or limits.fewest == 1
