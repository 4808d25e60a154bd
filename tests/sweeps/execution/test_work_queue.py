"""The work queue hands packs to workers, and loses none when a worker dies."""

from factorlab.provenance.sources import at_start
from sweeps.execution.work_queue import Ended, Outcomes, Task, WorkQueue


def pack(*keys):
    return tuple(Task(key, {}, "runs") for key in keys)


def done(*keys):
    return [Ended(key, "done") for key in keys]


def test_take_hands_out_packs_in_order():
    work = WorkQueue([pack("a", "b"), pack("c")], restarts=3, sources=at_start())
    assert work.take("one", []) == pack("a", "b")
    assert work.take("two", []) == pack("c")
    assert work.take("two", done("c")) == ()
    assert work.take("one", done("a", "b")) == ()
    assert {ended.key for ended in work.ended()} == {"a", "b", "c"}


def test_take_returns_pack_of_dead_worker():
    work = WorkQueue([pack("a"), pack("b"), pack("c")], restarts=3, sources=at_start())
    work.take("one", [])
    work.take("two", [])
    assert work.died("one", counts=True) == []
    assert work.take("two", done("b")) == pack("a")
    assert work.take("two", done("a")) == pack("c")


def test_died_without_pack_costs_nothing():
    work = WorkQueue([pack("a")], restarts=0, sources=at_start())
    assert work.died("one", counts=True) == []
    assert work.take("one", []) == pack("a")


def test_died_gives_up_trial_that_kills_workers():
    work = WorkQueue([pack("deadly"), pack("b")], restarts=3, sources=at_start())
    for _ in range(3):
        assert work.take("one", []) == pack("deadly")
        assert work.died("one", counts=True) == []
    assert work.take("two", []) == pack("deadly")
    assert work.died("two", counts=True) == ["deadly"]
    assert work.take("one", []) == pack("b")
    assert work.take("two", []) == ()


def test_died_does_not_count_preemptions():
    work = WorkQueue([pack("a")], restarts=0, sources=at_start())
    for _ in range(5):
        assert work.take("one", []) == pack("a")
        assert work.died("one", counts=False) == []


def test_died_splits_pack_to_find_culprit():
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


def test_died_keeps_preempted_pack_together():
    work = WorkQueue([pack("a", "b")], restarts=0, sources=at_start())
    work.take("one", [])
    assert work.died("one", counts=False) == []
    assert work.take("two", []) == pack("a", "b")


def test_start_limits_workers_that_never_take():
    work = WorkQueue([pack("a")], restarts=2, sources=at_start())
    assert [work.start("one") for _ in range(4)] == [True, True, True, False]
    assert work.start("two")
    assert work.take("two", []) == pack("a")
    assert [work.start("two") for _ in range(4)] == [True, True, True, False]


def test_start_does_not_count_lost_machines():
    work = WorkQueue([pack("a")], restarts=0, sources=at_start())
    for _ in range(3):
        assert work.start("one")
        work.died("one", counts=False)


def test_leave_keeps_rest_of_pack_together():
    work = WorkQueue([pack("a", "b", "c"), pack("d")], restarts=0, sources=at_start())
    work.take("one", [])
    work.leave("one", done("a"))
    assert work.died("one", counts=True) == []
    assert work.take("two", []) == pack("b", "c")
    assert work.take("two", done("b", "c")) == pack("d")
    assert {ended.key for ended in work.ended()} == {"a", "b", "c"}


def test_leave_without_pack_changes_nothing():
    work = WorkQueue([pack("a")], restarts=0, sources=at_start())
    work.leave("one", [])
    assert work.take("two", []) == pack("a")


def test_died_splits_pack_of_two():
    work = WorkQueue([pack("a", "b")], restarts=0, sources=at_start())
    work.take("one", [])
    assert work.died("one", counts=True) == []
    assert work.take("one", []) == pack("a")
    assert work.take("two", []) == pack("b")


def test_outcomes_then_keeps_both_rounds():
    first = Outcomes(
        {"a": "done"}, {"b": "full"}, {"c": "died"}, {"one": "no torch"}, interrupted=True, lost="x"
    )
    later = Outcomes({"a": "failed", "d": "done"}, {"e": "full"}, {"f": "died"}, {"two": "no ray"})
    assert first.then(later) == Outcomes(
        {"a": "failed", "d": "done"},
        {"b": "full", "e": "full"},
        {"c": "died", "f": "died"},
        {"one": "no torch", "two": "no ray"},
        interrupted=False,
        lost=None,
    )
