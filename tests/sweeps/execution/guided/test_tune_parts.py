"""Searchers and schedulers of Ray Tune, made from what an experiment names."""

import pytest
from ray.tune.result import TRAINING_ITERATION

from sweeps.execution.guided import tune_parts
from sweeps.planning.search.spec import SchedulerSpec, SearchSpec, axis_values


@pytest.mark.parametrize("name", ["ASHAScheduler", "MedianStoppingRule"])
def test_scheduler_counts_in_steps(name):
    spec = SchedulerSpec(algorithm=f"ray.tune.schedulers.{name}", metric="accuracy", mode="max")
    made = tune_parts.scheduler(spec, 500, "mine.yaml")
    assert made._time_attr == TRAINING_ITERATION
    assert getattr(made, "_max_t", 500) == 500
    assert made.metric == "accuracy"


def test_searcher_draws_from_the_axes_with_seed_0():
    axes = {"x": axis_values({"uniform": [2.0, 3.0]}), "y": ["a", "b"]}
    spec = SearchSpec(
        algorithm="ray.tune.search.optuna.OptunaSearch", metric="accuracy", mode="max", runs=3
    )
    first, second = (tune_parts.searcher(spec, axes, 0, "mine.yaml") for _ in range(2))
    points = [first.suggest(str(number)) for number in range(5)]
    assert points == [second.suggest(str(number)) for number in range(5)]
    assert all(2 <= point["x"] <= 3 and point["y"] in ("a", "b") for point in points)


def test_random_search_goes_on_where_it_stopped():
    axes = {"x": axis_values({"uniform": [0.0, 1.0]})}
    spec = SearchSpec(algorithm="random", metric="accuracy", mode="max", runs=9)
    whole = tune_parts.searcher(spec, axes, 0, "mine.yaml")
    points = [whole.suggest(str(number)) for number in range(5)]
    later = tune_parts.searcher(spec, axes, 3, "mine.yaml")
    assert [later.suggest(str(number)) for number in range(2)] == points[3:]
