"""Forming packs: every trial once, one shape a pack, work for every slot."""

from hypothesis import given
from hypothesis import strategies as st

from factorlab.config import parse
from sweeps import estimate, experiment, plan
from sweeps.packing import A100_SUSTAINED, MOST, MOST_ON_GPU, best_size, form, step_flops
from sweeps.plan import PlannedTrial
from sweeps.probe import Findings, Speed

SIZES = (6, 8, 13)
CPU = Findings([], 0, 0)
A100 = Findings([], 1, 80 * 2**30)


def trials_of(sizes):
    runs = {size: parse({"data": {"size": size}}) for size in SIZES}
    return [PlannedTrial(str(n), str(n), runs[size], 1, "new") for n, size in enumerate(sizes)]


@given(
    sizes=st.lists(st.sampled_from(SIZES), max_size=40),
    wanted=st.tuples(*[st.integers(1, 12)] * 3),
    slots=st.integers(1, 5),
    fewest=st.integers(1, 5),
)
def test_packs_hold_every_trial_once_and_one_shape_each(sizes, wanted, slots, fewest):
    trials = trials_of(sizes)
    limits = {parse({"data": {"size": n}}).shape: k for n, k in zip(SIZES, wanted, strict=True)}
    packs = form(trials, limits, slots, fewest)
    assert sorted(t.key for pack in packs for t in pack) == sorted(t.key for t in trials)
    first = [trials.index(pack[0]) for pack in packs]
    assert first == sorted(first)
    for size in set(sizes):
        mine = [pack for pack in packs if pack[0].settings.data.size == size]
        longest = max(map(len, mine))
        assert all(t.settings.data.size == size for pack in mine for t in pack)
        assert longest <= limits[mine[0][0].settings.shape]
        assert len(mine) >= min(slots, sizes.count(size))
        assert longest >= fewest or longest == 1


def test_sizes_by_hand():
    trials = trials_of([8] * 20)
    shape = trials[0].settings.shape
    lengths = lambda *how: [len(pack) for pack in form(trials, {shape: 8}, *how)]  # noqa: E731
    assert lengths(1) == [8, 8, 4]
    assert lengths(4) == [5, 5, 5, 5]  # work for four
    assert lengths(6) == [1] * 20  # packs of three would lose


def test_a_cpu_gains_where_the_step_is_small():
    speed = Speed(1e6, 0.05, None)
    assert best_size(parse({"training": {"batch_size": 64}}), speed, CPU, 0.25) == MOST
    assert best_size(parse({"training": {"batch_size": 512}}), speed, CPU, 0.25) == 1


def test_a_gpu_is_filled_as_far_as_its_step_leaves_it_idle_and_as_memory_allows():
    run = parse({"model": {"width": 64}})

    def size(busy, memory, gpu=1.0):
        flops = 1e8
        seconds = step_flops(run, flops) / A100_SUSTAINED / busy
        return best_size(run, Speed(flops, seconds, memory), A100, gpu)

    assert size(busy=0.999, memory=2**30) == 1
    assert size(busy=0.1249, memory=2**30) == 8
    assert size(busy=0.1249, memory=2**30, gpu=0.25) == 2
    assert size(busy=0.1249, memory=20 * 2**30) == 3  # 0.8 of 80 GiB
    assert size(busy=1e-4, memory=2**20) == MOST_ON_GPU


def test_a_pack_is_a_setting(tmp_path):
    path = tmp_path / "packed.yaml"
    text = "name: packed\nbase: {data: {size: 6}, model: {width: 4}}\naxes: {seed: [0, 1, 2]}\n"
    for setting, expected in (("2", [2, 1]), ("auto", [1, 1, 1])):
        path.write_text(f"{text}resources: {{pack: {setting}}}\n")
        made = plan.make(experiment.load(str(path)), tmp_path / "runs")
        packs = estimate.estimate(made, made.pending()).packs
        assert [len(pack) for pack in packs] == expected
