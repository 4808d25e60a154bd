"""Searchers and schedulers of Ray Tune, made from what an experiment names."""

import re

import pytest
from ray.tune.result import TRAINING_ITERATION

from factorlab.errors import UserError
from sweeps.execution.guided import tune_parts
from sweeps.planning import plan
from sweeps.planning.experiment import load
from sweeps.planning.search.spec import SchedulerSpec
from tests.helpers.experiments import write_experiment

GOAL = {"metric": "validation_loss", "mode": "min"}
TPE = {"algorithm": "ray.tune.search.optuna.OptunaSearch", "runs": 6, **GOAL}
RANDOM = {"algorithm": "random", "metric": "accuracy", "mode": "max", "runs": 9}


@pytest.mark.parametrize("name", ["ASHAScheduler", "MedianStoppingRule"])
def test_scheduler_counts_in_steps(name):
    spec = SchedulerSpec(algorithm=f"ray.tune.schedulers.{name}", metric="accuracy", mode="max")
    made = tune_parts.scheduler(spec, 500, "mine.yaml")
    assert made._time_attr == TRAINING_ITERATION
    assert getattr(made, "_max_t", 500) == 500
    assert made.metric == "accuracy"


def plan_with(folder, search, axes):
    """Return the plan of a search."""
    path = write_experiment(folder / "mine.yaml", axes=axes, search=search)
    return plan.make(load(str(path)), folder / "runs")


def test_searcher_draws_from_the_axes_with_seed_0(tmp_path):
    axes = {"data.sigma": {"uniform": [2.0, 3.0]}, "data.family": ["bump", "sos"]}
    search = {**RANDOM, "algorithm": "ray.tune.search.optuna.OptunaSearch"}
    made = plan_with(tmp_path, search, axes)
    first, second = (tune_parts.searcher(made) for _ in range(2))
    points = [first.suggest(str(number)) for number in range(5)]
    assert points == [second.suggest(str(number)) for number in range(5)]
    assert all(2 <= p["data.sigma"] <= 3 and p["data.family"] in ("bump", "sos") for p in points)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"algorithm": "ray.tune.search.optuna.Optuna"}, "Ray Tune has no such searcher"),
        ({"options": {"seeds": 3}}, "search.options: unknown key 'seeds'; allowed: "),
        ({"options": {"metric": "loss"}}, "search.options: metric is given by the experiment"),
        ({"options": {"seed": "x"}}, "search.options: "),
        ({"options": {"points_to_evaluate": [{"data.spacing": "x"}]}}, "Dim of point"),
    ],
)
def test_search_refuses(tmp_path, changes, problem):
    axes = {"training.learning_rate": {"loguniform": [1e-5, 1e-1]}, "data.spacing": [0.5, 1.0]}
    with pytest.raises(UserError, match=re.escape(problem)):
        tune_parts.check(plan_with(tmp_path, TPE | changes, axes))


@pytest.mark.parametrize(
    ("algorithm", "options", "problem"),
    [
        ("PopulationBasedTraining", {}, "it changes settings while a run trains"),
        ("HyperBandScheduler", {}, "it pauses runs; use a scheduler that only stops runs"),
        ("HyperBandForBOHB", {}, "it pauses runs"),
        ("ASHAScheduler", {"time_attr": "time_total_s"}, "options.time_attr: the unit of time"),
        ("ASHAScheduler", {"reduction_factor": 1}, "Reduction Factor not valid"),
        ("ASHA", {}, "Ray Tune has no such trialscheduler"),
    ],
)
def test_scheduler_refuses(tmp_path, algorithm, options, problem):
    spec = {"algorithm": f"ray.tune.schedulers.{algorithm}", "options": options}
    path = write_experiment(
        tmp_path / "bad.yaml", axes={"seed": [0, 1]}, scheduler=spec | GOAL, figures=[]
    )
    with pytest.raises(UserError, match=re.escape(problem)):
        tune_parts.check(plan.make(load(str(path)), tmp_path / "runs"))
