"""The scheduler hears of every Tune trial, and decides what happens after a worker's death.

Tune's controller calls it in the order that is played here; `test_workers.py` and `test_faults.py`
let a real cluster do so.
"""

from functools import partial

import pytest
from ray.tune.experiment import Trial

from sweeps.execution import tune_scheduler
from sweeps.execution.outcomes import Ended, Outcomes, RunProgress
from sweeps.execution.tune_scheduler import RESTARTS, PackSearcher, SweepScheduler
from tests.sweeps.execution.tune.controller import Controller


@pytest.fixture
def tune_of(tmp_path):
    """Return a function that starts Tune with some packs."""
    return partial(Controller, tmp_path)


AT_START = "The actor died unexpectedly.\nThe actor never ran - it was cancelled."


def keys(trial):
    return [task.key for task in trial.config["pack"]]


def done(*names):
    return tuple(Ended(name, "done") for name in names)


def test_suggest_hands_out_packs_in_order_and_finishes(tune_of):
    tune = tune_of(["a", "b"], ["c"])
    first, second = tune.start(), tune.start()
    assert (keys(first), keys(second)) == (["a", "b"], ["c"])
    assert tune.searcher.suggest("t9") is None  # it may come back
    tune.complete(first, ended=done("a", "b"))
    tune.complete(second, ended=done("c"))
    assert tune.searcher.suggest("t9") == PackSearcher.FINISHED
    assert tune.stopper.stop_all()
    assert tune.outcomes == Outcomes({"a": "done", "b": "done", "c": "done"})


def test_suggest_waits_for_a_slot_where_no_machine_can_join(tune_of):
    tune = tune_of(["a"], ["b"], ["c"], ["d"], most=2)
    first, second = tune.start(), tune.start()
    assert tune.add() is None
    tune.complete(first, ended=done("a"))
    third = tune.start()
    assert keys(third) == ["c"]
    tune.report(second, broken="disk full")  # keeps its slot
    assert tune.add() is None
    tune.complete(third, ended=done("c"))
    assert keys(tune.start()) == ["b"]
    assert tune.add() is None


def test_pack_takes_what_its_device_needs(tune_of):
    tune = tune_of(["a"], ["b"])
    bundles = [tune.add().placement_group_factory.bundles for _ in range(2)]
    assert bundles == [[{"CPU": 1, "GPU": 0.5}]] * 2
    on_cpu = tune_of(["a"], device="cpu")
    on_cpu.count = 2
    assert on_cpu.add().placement_group_factory.bundles == [{"CPU": 1}]


def test_run_alone_is_tried_four_times(tune_of):
    tune = tune_of(["deadly"], ["b"])
    trial, other = tune.start(), tune.start()
    for _ in range(RESTARTS):
        tune.die(trial)
        assert trial.status == Trial.PENDING
        trial.set_status(Trial.RUNNING)
        tune.report(trial)
    tune.die(trial)
    assert trial.status == Trial.ERROR
    assert tune.outcomes.errors == {"deadly": "The worker died."}
    assert tune.heard.calls[-1] == ("ended", "deadly", "given_up")
    assert tune.searcher.suggest("t9") is None
    tune.complete(other, ended=done("b"))
    assert tune.assignments.over


def test_run_that_dies_before_its_first_report_is_blamed(tune_of):
    tune = tune_of(["deadly"])
    trial = tune.add()
    for _ in range(RESTARTS + 1):
        trial.set_status(Trial.RUNNING)
        tune.die(trial)
    assert tune.outcomes.errors == {"deadly": "The worker died."}
    assert tune.outcomes.broken == {}


def test_preemptions_do_not_count(tune_of):
    tune = tune_of(["a", "b"])
    trial = tune.start()
    for _ in range(10):
        tune.die(trial, preempted=True)
        assert trial.status == Trial.PENDING
        trial.set_status(Trial.RUNNING)
        tune.report(trial)
    assert keys(trial) == ["a", "b"]


def test_pack_whose_worker_died_is_trained_one_by_one(tune_of):
    tune = tune_of(["a", "deadly", "c"], ["d"])
    trial = tune.start()
    tune.report(trial, ended=done("a"))
    tune.die(trial)
    assert trial.status == Trial.ERROR
    assert [keys(tune.start()) for _ in range(3)] == [["deadly"], ["c"], ["d"]]
    assert tune.outcomes.errors == {}


def test_last_run_of_a_pack_is_tried_alone(tune_of):
    tune = tune_of(["a", "b"])
    trial = tune.start()
    tune.report(trial, ended=done("a"))
    tune.die(trial)
    alone = tune.start()
    assert keys(alone) == ["b"]
    assert alone.max_failures == RESTARTS


def test_replaced_worker_trains_what_is_left(tune_of):
    tune = tune_of(["a", "b"])
    trial = tune.start()
    tune.report(trial, ended=done("a"))
    tune.die(trial, preempted=True)
    assert keys(trial) == ["b"]


def test_worker_that_leaves_costs_nothing(tune_of):
    tune = tune_of(["a", "b"], ["c"])
    trial = tune.start()
    tune.complete(trial, ended=done("a"))
    assert keys(tune.start()) == ["b"]
    assert ("stopped", "b") in tune.heard.calls
    assert ("stopped", "a") not in tune.heard.calls


def test_death_of_idle_worker_costs_nothing(tune_of):
    tune = tune_of(["a", "b"], ["c"])
    trial = tune.add()  # Tune resets an idle worker for it, which has died
    tune.die(trial)
    assert trial.status == Trial.ERROR
    assert keys(tune.start()) == ["a", "b"]


def test_death_of_a_worker_that_was_asked_to_end_costs_nothing(tune_of):
    tune = tune_of(["a", "b"], ["c"])
    trial = tune.add()
    tune._resetting_trials.add(trial)  # its process ends itself in the reset
    trial.set_status(Trial.RUNNING)  # so does Tune if an actor fails
    tune.die(trial)
    assert trial.status == Trial.ERROR
    assert keys(tune.start()) == ["a", "b"]


def test_failed_starts_do_not_count_against_a_run(tune_of):
    tune = tune_of(["a"], ["b"])
    other = tune.start()
    trial = tune.add()
    for _ in range(10):
        trial.set_status(Trial.RUNNING)
        tune.die(trial, AT_START)
        assert trial.status == Trial.PENDING
    assert not tune.stopper.stop_all()
    tune.complete(other, ended=done("a"))
    for _ in range(RESTARTS):
        trial.set_status(Trial.RUNNING)
        tune.die(trial)
        assert trial.status == Trial.PENDING
    trial.set_status(Trial.RUNNING)
    tune.die(trial)
    assert trial.status == Trial.ERROR
    assert list(tune.outcomes.errors) == ["b"]


def test_worker_that_dies_after_its_last_run_changes_nothing(tune_of):
    tune = tune_of(["a"], ["b"])
    trial, other = tune.start(), tune.start()
    tune.report(trial, ended=done("a"))
    tune.die(trial)
    assert trial.status == Trial.PENDING
    trial.set_status(Trial.RUNNING)
    tune.complete(trial, ended=done("a"))
    tune.complete(other, ended=done("b"))
    assert tune.outcomes == Outcomes({"a": "done", "b": "done"})
    assert tune.heard.calls.count(("ended", "a", "done")) == 1


def test_broken_worker_keeps_its_slot_and_loses_its_pack(tune_of):
    tune = tune_of(["a"], ["b"], ["c"], slots=2)
    broken = tune.add()
    broken.set_status(Trial.RUNNING)
    assert tune.report(broken, broken="no torch") == SweepScheduler.NOOP
    assert not tune.stopper.stop_all()
    healthy = tune.start()
    assert keys(healthy) == ["a"]
    tune.die(broken)
    assert broken.status == Trial.ERROR
    tune.complete(healthy, ended=done("a"))
    assert not tune.stopper.stop_all()
    second = tune.start()
    tune.report(second, broken="disk full")
    assert not tune.stopper.stop_all()  # the first one is gone, and its slot may be free
    tune.report(tune.start(), broken="no torch")
    assert tune.stopper.stop_all()
    assert set(tune.outcomes.broken.values()) == {"no torch", "disk full"}
    refused = [reason for kind, reason, *_ in tune.heard.calls if kind == "refused"]
    assert refused == ["no torch", "disk full", "no torch"]
    assert tune.outcomes.ended == {"a": "done"}


def test_broken_workers_of_a_machine_that_left_do_not_end_the_sweep(tune_of):
    tune = tune_of(["a"], ["b"], ["c"], ["d"], slots=3)
    left = [tune.add(), tune.add()]
    for worker in left:
        worker.set_status(Trial.RUNNING)
        tune.report(worker, broken="no torch")
    healthy = tune.start()
    for worker in left:
        tune.die(worker)
    tune.room.count = 1
    tune.complete(healthy, ended=done(*keys(healthy)))
    assert not tune.stopper.stop_all()
    assert tune.start() is not None


def test_workers_that_die_at_every_start_end_the_sweep(tune_of):
    tune = tune_of(["a", "b"], ["c"])
    for _ in range(RESTARTS + 1):
        assert not tune.stopper.stop_all()
        trial = tune.add()
        trial.set_status(Trial.RUNNING)  # so does Tune if the actor fails to start
        tune.die(trial, AT_START)
    assert tune.stopper.stop_all()
    assert set(tune.outcomes.broken.values()) == {"its process died at every start"}
    assert tune.stopper.stop_all()  # is asked again, and tells it once
    assert tune.heard.calls.count(("refused", "its process died at every start")) == 1
    assert tune.outcomes.errors == {}


def test_sweep_without_any_worker_says_so_once(tune_of, monkeypatch):
    tune = tune_of(["a"], ["b"])
    assert not tune.stopper.stop_all()
    assert tune.heard.calls == []
    monkeypatch.setattr(tune_scheduler, "PATIENCE", 0.0)
    for _ in range(3):
        assert not tune.stopper.stop_all()
    assert tune.heard.calls == [("no worker",)]


def test_sweep_with_a_worker_does_not_wait_for_one(tune_of, monkeypatch):
    tune = tune_of(["a"])
    tune.report(tune.start(), at=())
    monkeypatch.setattr(tune_scheduler, "PATIENCE", 0.0)
    assert not tune.stopper.stop_all()
    assert ("no worker",) not in tune.heard.calls


def test_failed_starts_must_be_consecutive(tune_of):
    tune = tune_of(*[[str(number)] for number in range(20)])
    for _ in range(RESTARTS + 1):
        trial = tune.add()
        trial.set_status(Trial.RUNNING)
        tune.die(trial, AT_START)
        started = tune.start()
        tune.complete(started, ended=done(*keys(started)))
    assert not tune.stopper.stop_all()


def test_workers_may_import_newer_code_once_the_sweep_has_begun(tune_of):
    tune = tune_of(["a"], ["b"], ["c"])
    first, second = tune.add(), tune.add()
    assert not first.config["begun"]
    assert not second.config["begun"]
    first.set_status(Trial.RUNNING)
    tune.report(first)
    tune.die(first)
    assert first.config["begun"]
    assert tune.add().config["begun"]


def test_reports_reach_the_listener(tune_of):
    tune = tune_of(["a", "b"])
    trial = tune.start()
    tune.report(trial, at=(RunProgress("a", 3, 9, None), RunProgress("b", 3, 9, 0.5)))
    tune.report(trial, ended=(Ended("a", "done", 0.7),), at=(RunProgress("b", 5, 9, 0.5),))
    tune.complete(trial, ended=(Ended("b", "io_error", reason="b: no such folder"),))
    assert tune.heard.calls == [
        ("started", "a"),
        ("started", "b"),
        ("progressed", "a", 3),
        ("progressed", "b", 3),
        ("ended", "a", "done"),
        ("progressed", "b", 5),
        ("ended", "b", "io_error"),
    ]
    assert tune.outcomes.io_errors == {"b": "b: no such folder"}


@pytest.mark.parametrize("part", ["scheduler", "searcher", "stopper"])
def test_tune_pickles_no_state(tune_of, part):
    assert getattr(tune_of(["a"]), part).__getstate__() == {}
