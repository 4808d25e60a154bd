"""The time left: within a quarter of the truth after a tenth of the work."""

import heapq
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweeps.reporting.live.time_left import TimeLeft


def run(durations, slots, steps=20, slow_from=math.inf, factor=1.0):
    """Run trials on slots, the longest first; yield the clock, and what ended or progressed.

    A step that starts after `slow_from` takes `factor` times as long.
    """
    waiting = sorted(durations.items(), key=lambda item: -item[1])
    events, clock = [], 0.0

    def start(now):
        if waiting:
            key, seconds = waiting.pop(0)
            heapq.heappush(events, (now, key, 0, seconds))

    def step_time(seconds, now):
        return seconds / steps * (factor if now >= slow_from else 1.0)

    for _ in range(slots):
        start(0.0)
    while events:
        clock, key, step, seconds = heapq.heappop(events)
        yield clock, key, step
        if step == steps:
            start(clock)
        else:
            heapq.heappush(events, (clock + step_time(seconds, clock), key, step + 1, seconds))


def follow(estimates, slots, history, steps=20):
    """Return the clock, the share done and the time left at every event."""
    left = TimeLeft(estimates, slots)
    found = []
    for clock, key, step in history:
        if step == 0:
            left.started(key, clock)
            continue
        left.progressed(key, step, steps, clock)
        if step == steps:
            left.ended(key, clock)
        found.append((clock, left.done, left.seconds()))
    assert left.done == pytest.approx(1.0)
    assert left.seconds() == 0.0
    return found


lengths = st.lists(st.floats(5.0, 50.0), min_size=30, max_size=80)


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(1, 8), st.floats(0.3, 3.0))
@example([40.0] + 29 * [5.0], 5, 1.0)  # one run lasts longer than the others together
def test_time_left_is_right_after_a_tenth_whatever_the_machine(seconds, slots, speed):
    estimates = {str(i): one for i, one in enumerate(seconds)}
    history = list(run({key: one / speed for key, one in estimates.items()}, slots, steps=60))
    end = history[-1][0]
    for clock, done, left in follow(estimates, slots, history, steps=60):
        if 0.1 <= done < 0.9:
            assert left == pytest.approx(end - clock, rel=0.25)


@settings(max_examples=30, deadline=None)
@given(lengths, st.integers(1, 4), st.floats(1.5, 3.0))
def test_time_left_follows_a_machine_that_becomes_slower(seconds, slots, factor):
    estimates = {str(i): one for i, one in enumerate(seconds)}
    half = sum(seconds) / slots / 3
    history = list(run(estimates, slots, slow_from=half, factor=factor))
    end = history[-1][0]
    late = [row for row in follow(estimates, slots, history) if 0.75 <= row[1] < 0.9]
    for clock, _, left in late:
        assert left == pytest.approx(end - clock, rel=0.25)


@pytest.mark.parametrize("lag", [0.0, 0.01])
def test_time_left_is_right_if_the_trials_of_a_pack_report_together(lag):
    steps, pack, every = 60, 8, 10
    estimates = {f"{p}-{i}": 10.0 for p in range(4) for i in range(pack)}
    left, end = TimeLeft(estimates, 2), 2 * pack * 30.0  # three times as slow as estimated
    for round_ in range(2):
        packs = (2 * round_, 2 * round_ + 1)
        begin = round_ * end / 2
        for p in packs:
            for i in range(pack):
                left.started(f"{p}-{i}", begin)
        for step in range(every, steps + 1, every):
            clock = begin + end / 2 * step / steps
            for p in packs:
                for i in range(pack):
                    left.progressed(f"{p}-{i}", step, steps, clock + lag * i)
            if 0.1 <= left.done < 0.9:
                assert left.seconds() == pytest.approx(end - clock, rel=0.25)
        for p in packs:
            for i in range(pack):
                left.ended(f"{p}-{i}", begin + end / 2)


def test_share_counts_work_that_was_done_before():
    left = TimeLeft({"a": 30.0}, 1, before=10.0)
    assert left.done == 0.25
    assert left.seconds() == pytest.approx(30.0)
    left.ended("a", 30.0)
    assert left.done == 1.0


@pytest.mark.parametrize("again", [450, 400, 350])
def test_time_left_after_a_worker_died(again):
    left = TimeLeft({"a": 1000.0}, 1)
    left.started("a", 0.0)
    left.progressed("a", 0, 1000, 0.0)
    for step in range(100, 501, 100):
        left.progressed("a", step, 1000, float(step))
    left.progressed("a", again, 1000, 501.0)  # from its last checkpoint
    assert left.seconds() == pytest.approx(1000 - again, rel=0.05)


def test_time_left_does_not_count_time_without_workers():
    left, idle = TimeLeft({str(i): 100.0 for i in range(20)}, 1), 8 * 3600.0
    for i in range(10):
        begin = 100.0 * i + (idle if i else 0.0)
        left.started(str(i), begin)
        left.progressed(str(i), 1, 2, begin + 50.0)
        if i == 0:
            left.stopped("0")  # all machines are gone
        else:
            left.ended(str(i), begin + 100.0)
    assert left.seconds() == pytest.approx(1050.0, rel=0.1)


def test_trials_that_were_not_trained_are_not_fast():
    left = TimeLeft({str(i): 100.0 for i in range(10)}, 1)
    left.started("0", 0.0)
    left.progressed("0", 1, 10, 10.0)
    for i in (1, 2, 3):
        left.ended(str(i), 11.0, trained=False)  # another process trains them
    assert left.seconds() == pytest.approx(690.0, rel=0.1)


def test_time_left_does_not_jump():
    estimates = {str(i): 10.0 for i in range(40)}
    rows = follow(estimates, 2, list(run(estimates, 2)))
    ends = [clock + left for clock, done, left in rows if done > 0.05]
    assert max(ends) - min(ends) < 0.1 * ends[-1]


def test_time_left_of_resumed_trial_counts_only_the_rest():
    left = TimeLeft({"a": 24.0}, 1, resumed=["a"])
    left.started("a", 0.0)
    left.progressed("a", 76, 100, 0.0)
    assert left.seconds() == pytest.approx(24.0)
    assert left.done == 0.0
    left.progressed("a", 88, 100, 24.0)  # half as fast as estimated
    assert left.seconds() == pytest.approx(24.0, rel=0.1)
    left.progressed("a", 70, 100, 25.0)  # from an earlier checkpoint
    assert left.done < 0.01
    assert left.seconds() == pytest.approx(60.0, rel=0.1)


def test_time_left_without_trials():
    left = TimeLeft({}, 2)
    left.progressed("unknown", 1, 2, 0.0)
    assert (left.done, left.seconds()) == (1.0, 0.0)


def test_time_left_of_search_takes_guesses_for_what_is_picked():
    left = TimeLeft({"pick-0": 10.0, "pick-1": 10.0}, 1)
    left.picked("a")
    assert left.seconds() == pytest.approx(20.0)
    left.ended("a", 10.0)
    left.picked("b")
    left.picked("c")  # more than were expected
    assert left.seconds() == pytest.approx(20.0)
