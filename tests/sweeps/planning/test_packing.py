"""Packs: every trial once, one shape per pack, work for every slot."""

import math

from hypothesis import given
from hypothesis import strategies as st

from factorlab.parsing import parse
from sweeps.planning import experiment, plan
from sweeps.planning.cost import estimate
from sweeps.planning.cost.pack_limits import (
    A100_SUSTAINED,
    ALONE,
    FEW_ON_GPU,
    FEWEST,
    MOST,
    MOST_ON_GPU,
    PackLimits,
    on_cpu,
    on_gpu,
    step_flops,
)
from sweeps.planning.cost.packing import FAIR, form
from sweeps.planning.plan import PlannedTrial
from tests.helpers.experiments import write_experiment

SIZES = (6, 8, 13)


def trials_of(sizes):
    return [
        PlannedTrial(key=f"{n:064x}", name=str(n), settings={"data": {"size": size}})
        for n, size in enumerate(sizes)
    ]


@given(
    sizes=st.lists(st.sampled_from(SIZES), max_size=40),
    room=st.tuples(*[st.integers(0, 12)] * 3),
    slots=st.integers(1, 5),
    fewest=st.integers(1, 5),
    data=st.data(),
)
def test_form_packs_every_trial_once_by_shape(sizes, room, slots, fewest, data):
    trials = trials_of(sizes)
    lengths = st.just(0.0) | st.floats(1, 1e4)  # a trial may have nothing left but its result
    seconds = {trial.key: data.draw(lengths) for trial in trials}
    wanted = [2 * fewest + more if more else 1 for more in room]
    allowed = {
        parse({"data": {"size": n}}).shape: PackLimits(fewest, most)
        for n, most in zip(SIZES, wanted, strict=True)
    }
    packs = form(trials, seconds, allowed, slots)
    assert sorted(t.key for pack in packs for t in pack) == sorted(t.key for t in trials)
    length = [sum(seconds[t.key] for t in pack) for pack in packs]
    assert length == sorted(length, reverse=True)
    for size in set(sizes):
        mine = [pack for pack in packs if pack[0].run.data.size == size]
        longest = max(map(len, mine))
        assert all(t.run.data.size == size for pack in mine for t in pack)
        assert longest <= allowed[mine[0][0].run.shape].most
        total = sum(seconds.values()) or 1.0
        work = sum(seconds[t.key] for pack in mine for t in pack) / total
        assert len(mine) >= min(math.ceil(slots * work / FAIR - 1e-9), sizes.count(size))
        assert min(map(len, mine)) >= fewest or longest == 1


def test_form_pack_sizes():
    trials = trials_of([8] * 20)
    shape = trials[0].run.shape
    even = {trial.key: 1.0 for trial in trials}

    def lengths(count, slots):
        packs = form(trials[:count], even, {shape: PackLimits(4, 8)}, slots)
        return [len(pack) for pack in packs]

    assert lengths(20, 1) == [7, 7, 6]
    assert lengths(20, 2) == [5, 5, 5, 5]  # of three packs, one would train alone at the end
    assert lengths(20, 4) == [5, 5, 5, 5]  # work for four
    assert lengths(20, 6) == [1] * 20  # packs of three would lose
    assert lengths(11, 2) == [6, 5]  # three packs would be of three and four


def test_form_shares_slots_between_shapes():
    trials = trials_of([8] * 4 + [6] * 4)
    allowed = {trial.run.shape: PackLimits(4, 8) for trial in trials}

    def lengths(ratio):
        seconds = {t.key: ratio if t.run.data.size == 8 else 1.0 for t in trials}
        return sorted(len(pack) for pack in form(trials, seconds, allowed, slots=2))

    assert lengths(1.0) == [4, 4]
    assert lengths(3.0) == [1, 1, 1, 1, 4]  # three quarters of the work go to both slots


def test_form_fills_a_slot_with_another_shape():
    trials = trials_of([8] * 24 + [6] * 8)
    allowed = {trial.run.shape: PackLimits(4, 8) for trial in trials}
    packs = form(trials, {trial.key: 1.0 for trial in trials}, allowed, slots=2)
    assert [len(pack) for pack in packs] == [8, 8, 8, 8]  # two for each slot, with two of size 8


def test_form_groups_long_trials_first():
    trials = trials_of([8] * 8)
    seconds = {trial.key: float(1 + int(trial.key, 16) % 2 * 9) for trial in trials}
    first, second = form(trials, seconds, {trials[0].run.shape: PackLimits(4, 8)}, 2)
    assert {seconds[t.key] for t in first} == {10.0}
    assert {seconds[t.key] for t in second} == {1.0}


def test_on_cpu_packs_small_networks_only():
    small, large = (parse({"data": {"size": 8}, "model": {"width": width}}) for width in (4, 64))
    assert on_cpu(small) == PackLimits(FEWEST, MOST)
    assert on_cpu(large) == ALONE


def test_on_gpu_limited_by_idle_time_and_memory():
    run = parse({"model": {"width": 64}})

    def size(busy, memory, share=1.0):
        seconds = step_flops(run) / A100_SUSTAINED / busy
        found = on_gpu(run, seconds, memory, share * 80 * 2**30)
        assert found.fewest == 1
        return found.most

    assert size(busy=0.999, memory=2**30) == FEW_ON_GPU
    assert size(busy=0.1249, memory=2**30) == 8
    assert size(busy=0.1249, memory=20 * 2**30) == 3  # 0.8 of 80 GiB
    assert size(busy=0.1249, memory=10 * 2**30, share=0.25) == 1
    assert size(busy=1e-4, memory=2**20) == MOST_ON_GPU


def test_estimate_follows_pack_setting(tmp_path):
    for setting, expected in ((2, [2, 1]), ("auto", [1, 1, 1])):
        path = write_experiment(
            tmp_path / "packed.yaml", axes={"seed": [0, 1, 2]}, resources={"pack": setting}
        )
        made = plan.make(experiment.load(str(path)), tmp_path / "runs")
        packs = estimate.estimate(made.state(), made.state().pending()).packs
        assert [len(pack) for pack in packs] == expected
