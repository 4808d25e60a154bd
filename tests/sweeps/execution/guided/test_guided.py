"""Searches and early stopping, in real sweeps of real runs."""

import json
import os
import signal
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from ray.tune.schedulers import FIFOScheduler

from factorlab.storage.record import Record
from sweeps.execution.assignments import Assignments, tasks
from sweeps.execution.guided.early_stopping import EarlyStopping
from sweeps.execution.guided.scheduler import GuidedScheduler
from sweeps.execution.outcomes import Outcomes, Report, RunProgress
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.planning.search import picked
from tests.helpers.experiments import write_experiment
from tests.helpers.mlflow_runs import all_runs
from tests.helpers.processes import PATIENCE, factorlab, running, wait_for

TPE = {
    "algorithm": "ray.tune.search.optuna.OptunaSearch",
    "metric": "validation_loss",
    "mode": "min",
    "runs": 6,
}
ASHA = {
    "algorithm": "ray.tune.schedulers.ASHAScheduler",
    "metric": "validation_loss",
    "mode": "min",
    "options": {"grace_period": 10, "reduction_factor": 2},
}
RATES = [3e-3, 1e-3, 1e-2, 1e-5, 1e-4, 1e-6]
"""Learning rates. The last ones learn next to nothing, so ASHA stops some of them."""


def write_search(folder, **changes):
    axes = {"training.learning_rate": {"loguniform": [1e-5, 1e-1]}, "data.spacing": [0.5, 1.0]}
    return write_experiment(
        folder / "tpe.yaml", axes=axes, search=TPE | changes, figures=[], training={"steps": 20}
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search by Optuna's TPE whose driver was killed, and that was then run to its end."""
    folder = tmp_path_factory.mktemp("search")
    write_search(folder)
    with running("sweep", "tpe.yaml", cwd=folder, start_new_session=True) as driver:
        wait_for(lambda: len(list(folder.glob("runs/trials/*/result.json"))) >= 2)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate(timeout=PATIENCE)
    before = saved_plans.find(folder / "runs", "tpe")
    assert factorlab("sync", cwd=folder).returncode == 0
    assert parent_status(folder) == "KILLED"
    second = factorlab("sweep", "tpe.yaml", cwd=folder)
    return folder, before, second


def parent_status(folder, name="tpe"):
    (parent,) = (
        run for run in all_runs(folder / "runs", name) if run.data.tags["factorlab.role"] == "sweep"
    )
    return parent.info.status


def trial_runs(runs, experiment):
    found = all_runs(runs, experiment)
    return [run for run in found if run.data.tags["factorlab.role"] == "trial"]


def plan_of(folder, name="tpe"):
    return saved_plans.find(folder / "runs", name)


def test_search_continues_after_its_driver_was_killed(searched):
    folder, before, second = searched
    assert second.returncode == 0, second.stderr
    after = plan_of(folder)
    assert after.state().counts() == {"done": 6}
    assert after.trials[: len(before.trials)] == before.trials
    assert "Traceback" not in second.stderr
    assert f"6 trials that OptunaSearch picks ({len(before.trials)} so far)" in second.stderr


def test_search_trains_alone_and_on_its_axes(searched):
    folder, *_ = searched
    for _, record in plan_of(folder).records():
        assert record.result()["trained_together"] == 1
        config = record.config()["config"]
        assert 1e-5 <= config["training"]["learning_rate"] <= 1e-1
        assert config["data"]["spacing"] in (0.5, 1.0)


def test_search_is_in_mlflow(searched):
    folder, *_ = searched
    runs = trial_runs(folder / "runs", "tpe")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent_status(folder) == "FINISHED"
    assert factorlab("sync", cwd=folder).returncode == 0
    assert parent_status(folder) == "FINISHED"
    assert {run.data.tags["factorlab.key"] for run in runs} == set(plan_of(folder).keys)


def test_search_that_is_over_trains_nothing(searched):
    folder, *_ = searched
    again = factorlab("sweep", "tpe.yaml", cwd=folder)
    assert again.returncode == 0
    assert "nothing left to train" in again.stderr


def test_search_can_be_extended(searched):
    folder, *_ = searched
    before = plan_of(folder).keys
    write_search(folder, runs=7)
    longer = factorlab("sweep", "tpe.yaml", cwd=folder)
    assert longer.returncode == 0, longer.stderr
    after = plan_of(folder)
    assert after.keys[:6] == before
    assert after.state().counts() == {"done": 7}


@pytest.mark.parametrize(
    "changes",
    [
        {"search": TPE | {"options": {"seeds": 3}}},
        {"scheduler": ASHA | {"algorithm": "ray.tune.schedulers.HyperBandScheduler"}},
    ],
)
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_mistake_in_tune_parts_is_found_before_ray_starts(tmp_path, changes, options):
    axes = {"training.learning_rate": {"loguniform": [1e-5, 1e-1]}} if "search" in changes else {}
    write_experiment(tmp_path / "bad.yaml", axes=axes, figures=[], **changes)
    ended = factorlab("sweep", "bad.yaml", *options, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(f"factorlab: bad.yaml: {min(changes)}.")
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_metric_that_no_run_has_is_refused_at_the_first_evaluation(tmp_path):
    write_search(tmp_path, metric="speed")
    ended = factorlab("sweep", "tpe.yaml", cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert "search.metric = speed: runs have no such metric; allowed: acc" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.glob("figures/tpe/report-*.html"))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A sweep in which ASHA stopped runs, the same sweep again, and then one without ASHA."""
    folder = tmp_path_factory.mktemp("stopped")
    grid = {
        "axes": {"training.learning_rate": RATES},
        "figures": [],
        "training": {"steps": 80},
        "evaluation": {"every": 10},
    }
    write_experiment(folder / "asha.yaml", scheduler=ASHA, **grid)
    first = factorlab("sweep", "asha.yaml", cwd=folder)
    runs = folder / "runs"
    state = plan_of(folder, "asha").state()
    marks = {trial.key: Record(runs, trial.key).stopped() for trial in state.select("stopped")}
    journals = {key: Record(runs, key).journal.read_bytes() for key in marks}
    again = factorlab("sweep", "asha.yaml", cwd=folder)
    shown = factorlab("status", "asha", "--json", cwd=folder)
    statuses = {run.info.status for run in trial_runs(runs, "asha")}
    parents = [r for r in all_runs(runs, "asha") if r.data.tags["factorlab.role"] == "sweep"]
    write_experiment(folder / "full.yaml", **grid)
    full = factorlab("sweep", "full.yaml", cwd=folder)
    return locals()


def test_asha_stops_runs_that_keep_their_records(stopped):
    assert stopped["first"].returncode == 0, stopped["first"].stderr
    assert len(stopped["marks"]) >= 2
    for mark in stopped["marks"].values():
        assert mark["scheduler"] == "ASHAScheduler"
        assert mark["step"] in (10, 20, 40)  # rungs: grace period times powers of the factor
    assert f"{len(stopped['marks'])} stopped early" in stopped["first"].stderr


def test_stopped_runs_are_an_outcome_of_their_own(stopped):
    counts = json.loads(stopped["shown"].stdout)
    assert counts["stopped"] == len(stopped["marks"])
    assert counts["done"] == len(RATES) - counts["stopped"]
    assert stopped["statuses"] == {"FINISHED", "KILLED"}
    assert [run.info.status for run in stopped["parents"]] == ["FINISHED"]


def test_same_sweep_again_leaves_stopped_runs(stopped):
    assert stopped["again"].returncode == 0
    assert "nothing left to train" in stopped["again"].stderr


def test_sweep_without_scheduler_resumes_stopped_runs(stopped):
    assert stopped["full"].returncode == 0, stopped["full"].stderr
    runs = stopped["folder"] / "runs"
    assert plan_of(stopped["folder"], "full").state().counts() == {"done": len(RATES)}
    for key, mark in stopped["marks"].items():
        record = Record(runs, key)
        assert record.stopped() is None
        assert record.result()["steps"] == 80
        before = stopped["journals"][key]
        assert record.journal.read_bytes().startswith(before)  # resumed, not trained again
        assert mark["step"] in [point.step for point in record.points()[0]]


def write_threshold(folder, **changes):
    return write_experiment(
        folder / "cross.yaml",
        axes={
            "data.size": [6, 7],
            "data.subsample": {"loguniform": [0.05, 1.0]},
            "seed": [0, 1],
        },
        search={"threshold": {"level": 0.3}, "runs": 6} | changes,
        figures=["search"],
    )


def points_of(made):
    return list(picked.points(made).values())


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """A threshold search on one core, in one go, and the same whose driver was killed."""
    folders = [tmp_path_factory.mktemp(name) for name in ("whole", "killed")]
    for folder in folders:
        write_threshold(folder, parallel=1)
    whole = factorlab("sweep", "cross.yaml", cwd=folders[0])
    with running("sweep", "cross.yaml", cwd=folders[1], start_new_session=True) as driver:
        wait_for(lambda: len(list(folders[1].glob("runs/trials/*/result.json"))) >= 2)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate(timeout=PATIENCE)
    after = factorlab("sweep", "cross.yaml", cwd=folders[1])
    return folders, whole, after


@pytest.mark.slow
def test_threshold_search_goes_on_after_a_kill_as_it_would_have(crossed):
    folders, whole, after = crossed
    assert whole.returncode == after.returncode == 0, whole.stderr + after.stderr
    first, second = (plan_of(folder, "cross") for folder in folders)
    assert points_of(first) == points_of(second)
    assert first.state().counts() == second.state().counts() == {"done": 6}
    assert "size=6: 30 % at " in whole.stderr
    assert (folders[0] / "figures" / "cross" / "search-default.png").exists()


@pytest.mark.slow
def test_threshold_search_uses_finished_runs_of_a_grid(crossed, tmp_path):
    folders, *_ = crossed
    path = tmp_path / "grid"
    path.mkdir()
    made = plan_of(folders[0], "cross")
    grid = {"data.size": [6, 7], "data.subsample": [0.2], "seed": [0, 1]}
    write_experiment(path / "grid.yaml", axes=grid, figures=[])
    assert factorlab("sweep", "grid.yaml", cwd=path).returncode == 0
    write_threshold(path, runs=2)
    ended = factorlab("sweep", "cross.yaml", cwd=path)
    assert ended.returncode == 0, ended.stderr
    assert "2 trials that threshold picks (0 so far) and 4 of earlier sweeps" in ended.stderr
    found = plan_of(path, "cross")
    assert sum(trial.adopted is not None for trial in found.trials) == 4
    assert len(found.trials) == 6
    assert made.sweep == found.sweep


RESULT = {
    "report": Report(at=(RunProgress("0", 1, 6, 0.5, {"validation_loss": 1.0}),)),
}


class Failing(FIFOScheduler):
    """Raises an exception in one of its methods."""

    def __init__(self, hook):
        super().__init__()
        setattr(self, hook, self._fail)

    def _fail(self, *_):
        raise ZeroDivisionError("of theirs")


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("on_trial_add", (None, "trial")),
        ("choose_trial_to_run", (None,)),
        ("on_trial_result", (None, "trial", RESULT)),
        ("on_trial_error", (SimpleNamespace(_resetting_trials=[]), "trial")),
        ("on_trial_complete", (None, "trial", {})),
        ("on_trial_remove", (None, "trial")),
    ],
)
def test_exception_of_a_scheduler_ends_the_sweep_with_its_reason(tmp_path, hook, arguments):
    spec = {**ASHA, "algorithm": "ray.tune.schedulers.FIFOScheduler", "options": {}}
    path = write_experiment(tmp_path / "bad.yaml", axes={"seed": [0]}, scheduler=spec, figures=[])
    made = plan.make(load(str(path)), tmp_path / "runs")
    pack = tasks(made.trials)
    assignments, outcomes = Assignments([pack]), Outcomes()
    room = SimpleNamespace(needs=lambda _: {"cpu": 1.0}, slots=lambda: 1)
    stopping = EarlyStopping(Failing(hook), made)
    names = {task.key: "a run" for task in pack}
    scheduler = GuidedScheduler(
        assignments, Mock(), names, outcomes, room, search=None, stopping=stopping
    )
    trial = SimpleNamespace(
        trial_id="1",
        config={"pack": pack},
        update_resources=lambda _: None,
        status="PENDING",
        error_file=None,
    )
    getattr(scheduler, hook)(*(trial if one == "trial" else one for one in arguments))
    assert outcomes.refused == (
        f"{path}: scheduler.algorithm = ray.tune.schedulers.FIFOScheduler: ZeroDivisionError: "
        "of theirs"
    )
    assert not scheduler.can_go_on()
