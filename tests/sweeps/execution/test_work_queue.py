"""Packs of trials go to workers one at a time, and none is lost when a worker dies."""

from factorlab.provenance.sources import at_start
from sweeps.execution.work_queue import Ended, Task, WorkQueue


def pack(*keys):
    return tuple(Task(key, {}, "runs") for key in keys)


def done(*keys):
    return [Ended(key, "done") for key in keys]


def test_packs_are_handed_out_in_order_and_then_none():
    work = WorkQueue([pack("a", "b"), pack("c")], restarts=3, sources=at_start())
    assert work.take("one", []) == pack("a", "b")
    assert work.take("two", []) == pack("c")
    assert work.take("two", done("c")) == ()
    assert work.take("one", done("a", "b")) == ()
    assert {ended.key for ended in work.ended()} == {"a", "b", "c"}


def test_what_a_dead_worker_held_goes_to_the_next_who_asks():
    work = WorkQueue([pack("a"), pack("b"), pack("c")], restarts=3, sources=at_start())
    work.take("one", [])
    work.take("two", [])
    assert work.died("one", counts=True) == []
    assert work.take("two", done("b")) == pack("a")
    assert work.take("two", done("a")) == pack("c")


def test_a_worker_that_dies_with_nothing_in_hand_costs_nothing():
    work = WorkQueue([pack("a")], restarts=0, sources=at_start())
    assert work.died("one", counts=True) == []
    assert work.take("one", []) == pack("a")


def test_a_trial_that_kills_its_workers_is_given_up_and_the_others_go_on():
    work = WorkQueue([pack("deadly"), pack("b")], restarts=3, sources=at_start())
    for _ in range(3):
        assert work.take("one", []) == pack("deadly")
        assert work.died("one", counts=True) == []
    assert work.take("two", []) == pack("deadly")
    assert work.died("two", counts=True) == ["deadly"]
    assert work.take("one", []) == pack("b")
    assert work.take("two", []) == ()


def test_deaths_that_are_not_the_trials_fault_do_not_count():
    work = WorkQueue([pack("a")], restarts=0, sources=at_start())
    for _ in range(5):
        assert work.take("one", []) == pack("a")
        assert work.died("one", counts=False) == []


def test_a_pack_that_died_comes_back_one_by_one_and_only_the_culprit_is_given_up():
    work = WorkQueue([pack("a", "deadly", "c"), pack("d")], restarts=1, sources=at_start())
    assert work.take("one", []) == pack("a", "deadly", "c")
    assert work.died("one", counts=True) == []
    assert work.take("one", []) == pack("a")
    assert work.take("one", done("a")) == pack("deadly")
    assert work.died("one", counts=True) == []
    assert work.take("one", []) == pack("deadly")
    assert work.died("one", counts=True) == ["deadly"]
    assert work.take("one", []) == pack("c")
    assert work.take("one", done("c")) == pack("d")


def test_a_preempted_pack_stays_together():
    work = WorkQueue([pack("a", "b")], restarts=0, sources=at_start())
    work.take("one", [])
    assert work.died("one", counts=False) == []
    assert work.take("two", []) == pack("a", "b")


def test_a_worker_that_never_takes_may_not_start_for_ever():
    work = WorkQueue([pack("a")], restarts=2, sources=at_start())
    assert [work.start("one") for _ in range(4)] == [True, True, True, False]
    assert work.start("two")
    assert work.take("two", []) == pack("a")
    assert [work.start("two") for _ in range(4)] == [True, True, True, False]


def test_a_machine_that_goes_away_is_no_failure_to_start():
    work = WorkQueue([pack("a")], restarts=0, sources=at_start())
    for _ in range(3):
        assert work.start("one")
        work.died("one", counts=False)


def test_what_a_worker_gives_back_is_handed_out_together_and_counts_nothing():
    work = WorkQueue([pack("a", "b", "c"), pack("d")], restarts=0, sources=at_start())
    work.take("one", [])
    work.leave("one", done("a"))
    assert work.died("one", counts=True) == []
    assert work.take("two", []) == pack("b", "c")
    assert work.take("two", done("b", "c")) == pack("d")
    assert {ended.key for ended in work.ended()} == {"a", "b", "c"}
