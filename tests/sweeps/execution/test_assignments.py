"""Assignments give every trial to one Tune trial at a time, and lose none."""

from hypothesis import given
from hypothesis import strategies as st

from sweeps.execution.assignments import Assignments, Task


def pack(*keys):
    return tuple(Task(key, "{}") for key in keys)


def test_assign_keeps_order():
    packs = Assignments([pack("a", "b"), pack("c")])
    assert packs.assign("one") == pack("a", "b")
    assert packs.assign("two") == pack("c")
    assert packs.assign("three") == ()


def test_over_once_every_trial_ended():
    packs = Assignments([pack("a", "b")])
    packs.assign("one")
    assert packs.end("a")
    assert not packs.over
    assert packs.end("b")
    assert packs.over


def test_end_counts_a_trial_once():
    packs = Assignments([pack("a")])
    packs.assign("one")
    assert packs.end("a")
    assert not packs.end("a")


def test_give_back_keeps_rest_together_at_the_front():
    packs = Assignments([pack("a", "b", "c"), pack("d")])
    packs.assign("one")
    packs.end("a")
    assert packs.left("one") == pack("b", "c")
    packs.give_back("one")
    assert packs.left("one") == ()
    assert packs.assign("two") == pack("b", "c")
    assert packs.assign("three") == pack("d")


def test_give_back_splits_pack():
    packs = Assignments([pack("a", "b", "c"), pack("d")])
    packs.assign("one")
    packs.end("b")
    packs.give_back("one", together=False)
    assert [packs.assign(name) for name in "xyz"] == [pack("a"), pack("c"), pack("d")]


def test_give_back_without_pack_changes_nothing():
    packs = Assignments([pack("a")])
    packs.give_back("one")
    assert packs.assign("two") == pack("a")


STEPS = st.lists(
    st.tuples(st.sampled_from(["assign", "end", "together", "split"]), st.integers(0, 9)),
    max_size=60,
)


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), steps=STEPS)
def test_every_trial_is_in_one_place(sizes, steps):
    keys = iter(range(100))
    packs = [pack(*(str(next(keys)) for _ in range(size))) for size in sizes]
    assignments, held, ended = Assignments(packs), [], set()
    for number, (what, which) in enumerate(steps):
        if what == "assign":
            if assignments.assign(f"{number}"):
                held.append(f"{number}")
        elif held:
            name = held[which % len(held)]
            left = assignments.left(name)
            if what == "end" and left:
                ended.add(left[0].key)
                assert assignments.end(left[0].key)
            elif what in ("together", "split"):
                held.remove(name)
                assignments.give_back(name, together=what == "together")
    training = [task.key for name in held for task in assignments.left(name)]
    waiting = []
    while rest := assignments.assign("last"):
        waiting += [task.key for task in rest]
    everything = [task.key for one in packs for task in one]
    assert sorted([*training, *waiting, *ended]) == sorted(everything)
    assert assignments.over == (len(ended) == len(everything))
