"""One trial's MLflow run when a part of a pass fails, and what a pass costs."""

from collections import Counter

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from sweeps.tracking import run_state, trial_runs
from sweeps.tracking.batch import Batch
from tests.helpers.mlflow_runs import (
    PARAMETERS,
    assert_same_points,
    child_runs,
    finish,
    key_of,
    state_file,
    sync_of,
    write_record,
)

pytestmark = pytest.mark.usefixtures("no_server")

CALLS = ("create_run", "log_batch", "log_inputs", "set_terminated", "update_run", "set_tag")


@pytest.fixture
def calls(monkeypatch):
    """Number of calls of each method of MLflow's client that writes to a run."""
    counted = Counter()

    def counting(name, method):
        def call(*arguments, **options):
            counted[name] += 1
            return method(*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(MlflowClient, name, counting(name, getattr(MlflowClient, name)))
    return counted


def down(*_, **__):
    raise MlflowException("the store is down")


def run_of(runs):
    return child_runs(runs)[key_of(0)]


def fail(record):
    record.write_failure("out of memory", 3)


def test_finished_trial_costs_one_request_for_its_data(runs, calls):
    sync_of(runs, [1]).sync()  # creates the sweep's own run
    before = calls.copy()
    write_record(runs, 0, done=True)
    sync_of(runs, [0, 1]).sync()
    added = {name: calls[name] - before[name] for name in CALLS}
    assert (added["create_run"], added["log_batch"], added["log_inputs"]) == (1, 1, 1)
    run = run_of(runs)
    assert run.info.status == "FINISHED"
    assert run.data.params == PARAMETERS
    assert run.data.tags["factorlab.state"] == "done"
    assert run.data.tags["factorlab.device"] == "cpu test"


def test_ended_trials_are_not_sent_again_by_the_next_process(runs, calls):
    write_record(runs, 0, done=True)
    fail(write_record(runs, 1))
    sync_of(runs, [0, 1]).sync()
    calls.clear()
    assert sync_of(runs, [0, 1]).sync() == 0
    assert not calls


def test_parameters_arrive_after_failed_request(runs, monkeypatch):
    record = write_record(runs, 0)
    sync = sync_of(runs, [0])
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "send", down)
        with pytest.raises(MlflowException):
            sync.sync()
    assert not state_file(record).exists()
    sync.sync()
    assert run_of(runs).data.params == PARAMETERS
    assert_same_points(runs, [0])


def test_damaged_result_keeps_nothing_else_from_mlflow(runs):
    record = write_record(runs, 0, done=True)
    path = record.path / "result.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(RuntimeError, match="incomplete"):
        sync_of(runs, [0]).sync()
    run = run_of(runs)
    assert (run.info.status, run.data.params) == ("RUNNING", PARAMETERS)
    assert_same_points(runs, [0])
    path.write_bytes(whole)
    sync_of(runs, [0]).sync()
    assert run_of(runs).info.status == "FINISHED"


def test_retried_trial_forgets_failure_that_was_half_sent(runs, monkeypatch):
    record = write_record(runs, 0)
    fail(record)
    with monkeypatch.context() as patch:
        patch.setattr(trial_runs, "log_artifacts", down)
        with pytest.raises(MlflowException):
            sync_of(runs, [0]).sync()
    record.clear_failure()
    finish(record)
    sync_of(runs, [0]).sync()
    run = run_of(runs)
    assert run.info.status == "FINISHED"
    assert run.data.tags["factorlab.state"] == "done"
    assert "factorlab.failure" not in run.data.tags


def test_error_of_the_store_is_shown_if_the_state_cannot_be_saved(runs, monkeypatch):
    write_record(runs, 0)

    def gone(*_, **__):
        raise FileNotFoundError("the record was deleted")

    monkeypatch.setattr(trial_runs, "log_artifacts", down)
    monkeypatch.setattr(run_state, "save", gone)
    with pytest.raises(MlflowException, match="the store is down"):
        sync_of(runs, [0]).sync()
