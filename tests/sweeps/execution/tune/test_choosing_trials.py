"""Which Tune trial gets a worker that is free."""

from functools import partial

import pytest
from ray.tune.experiment import Trial

from sweeps.execution.outcomes import Ended
from tests.sweeps.execution.tune.controller import Controller


@pytest.fixture
def tune_of(tmp_path):
    """Return a function that starts Tune with some packs."""
    return partial(Controller, tmp_path)


def test_choose_trial_skips_those_with_a_worker(tune_of):
    tune = tune_of(["a"], ["b"], ["c"])
    first, second, third = tune.add(), tune.add(), tune.add()
    assert tune.scheduler.choose_trial_to_run(tune) is first
    first.temporary_state.ray_actor = object()  # it is being reset for this trial
    assert tune.scheduler.choose_trial_to_run(tune) is second
    second.set_status(Trial.RUNNING)
    first.set_status(Trial.RUNNING)
    assert tune.scheduler.choose_trial_to_run(tune) is third
    third.set_status(Trial.RUNNING)
    assert tune.scheduler.choose_trial_to_run(tune) is None


def test_choose_trial_leaves_a_worker_that_starts_to_its_trial(tune_of):
    tune = tune_of(["a"], ["b"], ["c"])
    starts, waits, new = tune.add(), tune.add(), tune.add()
    tune._trial_to_actor = {starts: "first", waits: "second"}
    tune._actor_manager.live_actors = ["first"]
    assert tune.scheduler.choose_trial_to_run(tune) is waits
    waits.temporary_state.ray_actor = object()
    assert tune.scheduler.choose_trial_to_run(tune) is new
    new.temporary_state.ray_actor = object()
    assert tune.scheduler.choose_trial_to_run(tune) is starts


def test_choose_trial_starts_none_that_ended(tune_of):
    tune = tune_of(["a"], ["b"], ["c", "d"], ["e"])
    starts = tune.add()
    done_already, died = tune.start(), tune.start()
    tune._trial_to_actor = {starts: "slow"}
    tune._actor_manager.live_actors = ["slow"]
    tune.complete(done_already, ended=(Ended("b", "done"),))
    tune.die(died)
    assert (done_already.status, died.status) == (Trial.TERMINATED, Trial.ERROR)
    assert tune.scheduler.choose_trial_to_run(tune) is starts
    one_by_one = tune.add()
    assert [task.key for task in one_by_one.config["pack"]] == ["c"]
    assert tune.scheduler.choose_trial_to_run(tune) is one_by_one


def test_choose_trial_takes_retried_one_first(tune_of):
    tune = tune_of(["a"], ["b"])
    lost, other = tune.start(), tune.add()
    tune.die(lost)
    tune._trial_to_actor = {lost: "on a machine that is gone"}
    assert tune.scheduler.choose_trial_to_run(tune) is lost
    lost.temporary_state.ray_actor = object()
    assert tune.scheduler.choose_trial_to_run(tune) is other
