"""Data sets: training labels, held-out labels, the digest and the memory that they take."""

import hashlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab.config import DataSettings, HeldOut
from factorlab.data import lattice
from factorlab.data.dataset import build, evaluation_label_count, evaluation_labels
from factorlab.errors import UserError
from factorlab.parsing import parse

BASE = {"family": "bump+stripes", "size": 8, "spacing": 0.5, "subsample": 0.4}


def digest(seed=0, **changes):
    return build(DataSettings(**(BASE | changes)), seed).digest


@pytest.mark.parametrize(
    "change",
    [
        {"size": 9},
        {"spacing": 1.0},
        {"spacing": (0.5, 1.0)},
        {"subsample": 0.5},
        {"seed": 1},
        {"family": "bump"},
        {"family": "stripes"},
        {"stripe_spacing": 0.5},
        {"margin": 5.0},
        {"sigma": 1.5},  # a wider canvas
        {"held_out": HeldOut(kind="box", width=2)},
        {"held_out": HeldOut(kind="cross", width=2)},
    ],
)
def test_digest_changes_with_labels(change):
    assert digest(**change) != digest()


@pytest.mark.parametrize(
    "change",
    [
        {"family": "sos+stripes"},
        {"margin": 6.0},  # the default
        {"sigma": (1.0, 1.0)},
        {"spacing": (0.5, 0.5)},
        {"held_out": HeldOut(kind="rim", width=20.0)},  # holds out nothing
    ],
)
def test_digest_same_for_same_labels(change):
    assert digest(**change) == digest()


def test_digest_is_sha256_of_counts_and_labels():
    whole = build(DataSettings(family="bump", size=6, spacing=5), 0)
    assert whole.labels.tolist() == [[1, 1], [1, 6], [6, 1], [6, 6]]
    # sha256 of "4,4;" and the eight numbers in little-endian float64.
    raw = struct.pack("<8d", 1, 1, 1, 6, 6, 1, 6, 6)
    assert whole.digest == hashlib.sha256(b"4,4;" + raw).hexdigest()


def test_build_large_lattice_takes_little_memory():
    data = DataSettings(size=32, spacing=31 / 319)
    tracemalloc.start()
    try:
        dataset = build(data, 0)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dataset.samples_total == 320**2
    assert dataset.lattice.nbytes == 320**2 * 16
    # 17 bytes a label are 1.7 MB. A first call keeps less than another MB for imported modules.
    assert kept < 3e6
    assert peak < 12e6  # seven times that; images would take 420 MB


@given(
    st.sampled_from(["bump", "sos", "bump+stripes", "sos+stripes"]),
    st.floats(0.05, 1),
    st.integers(0, 1000),
)
def test_build_subsamples_2d_examples_beside_all_stripes(family, share, seed):
    data = DataSettings(family=family, size=7, subsample=share)
    dataset = build(data, seed)
    stripes = 4 * 6 * 7 if family.endswith("stripes") else 0
    assert abs(dataset.samples_2d - share * 13**2) <= 0.5
    assert dataset.samples_total == dataset.samples_2d + stripes == len(dataset.labels)
    two_d, one_d = np.split(dataset.labels, [dataset.samples_2d])
    assert (((two_d >= 1) & (two_d <= 7)).sum(axis=1) == 2).all()
    assert (((one_d >= 1) & (one_d <= 7)).sum(axis=1) == 1).all()


@given(
    st.sampled_from(["bump", "sos"]), st.floats(0.02, 1), st.floats(0.02, 1), st.integers(0, 1000)
)
def test_build_thins_stripes_and_2d_examples_alike(kind, one, other, seed):
    smaller, larger = (
        build(DataSettings(family=f"{kind}+thinned-stripes", size=7, subsample=share), seed)
        for share in sorted([one, other])
    )
    share = min(one, other)
    alone = build(DataSettings(family=kind, size=7, subsample=share), seed)
    assert (smaller.seen == alone.seen).all()
    assert abs(len(smaller.stripes) - share * 4 * 6 * 7) <= 0.5
    assert {*map(tuple, smaller.stripes)} <= {*map(tuple, larger.stripes)}
    assert (((smaller.stripes >= 1) & (smaller.stripes <= 7)).sum(axis=1) == 1).all()


@given(st.floats(0.02, 1), st.integers(0, 1000))
def test_build_stripes_alone_are_subsampled(share, seed):
    dataset = build(DataSettings(family="stripes", size=7, subsample=share), seed)
    assert dataset.samples_2d == 0
    assert abs(dataset.samples_total - share * 4 * 6 * 7) <= 0.5
    assert (((dataset.labels >= 1) & (dataset.labels <= 7)).sum(axis=1) == 1).all()
    assert len(dataset.lattice) == 13**2  # evaluation labels


@given(
    st.sampled_from(["box", "cross", "lesion", "rim"]),
    st.floats(0.2, 2.9),
    st.floats(0.1, 1),
    st.integers(0, 1000),
)
def test_build_leaves_out_held_out_region(kind, width, share, seed):
    data = DataSettings(size=8, subsample=share, held_out=HeldOut(kind=kind, width=width))
    dataset = build(data, seed)
    held = lattice.held_out_mask(dataset.lattice, data)
    assert not (dataset.seen & held).any()
    assert abs(dataset.samples_2d - share * (~held).sum()) <= 0.5


@given(st.floats(0.02, 1), st.floats(0.02, 1), st.integers(0, 1000))
def test_build_smaller_share_is_nested_in_larger(one, other, seed):
    smaller, larger = (
        build(DataSettings(size=8, subsample=share), seed) for share in sorted([one, other])
    )
    assert not (smaller.seen & ~larger.seen).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"subsample": 1e-4}, ["data.subsample", "0.0001", "225"]),
        ({"family": "stripes", "subsample": 1e-4}, ["data.subsample", "0.0001", "192"]),
        (
            {"family": "bump+thinned-stripes", "spacing": 0.1, "subsample": 2e-3},
            ["data.subsample", "0.002", "none of 192 stripes", "0.002605"],
        ),
        ({"held_out": HeldOut(kind="box", width=40)}, ["data.held_out", "smaller"]),
        ({"held_out": HeldOut(kind="cross", width=40)}, ["data.held_out", "smaller"]),
        ({"family": "stripes", "margin": 0.5, "stripe_spacing": 1}, ["data.margin"]),
    ],
)
def test_build_refuses_empty_data_set(settings, words):
    with pytest.raises(UserError) as error:
        build(DataSettings(size=8, **settings), 0, "mine.yaml")
    message = str(error.value)
    assert message.startswith("mine.yaml: ")
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_build_accepts_smallest_share_named_in_refusal():
    with pytest.raises(UserError, match="at least") as error:
        build(DataSettings(size=8, subsample=1e-4), 0)
    share = float(str(error.value).split("at least ")[1])
    assert build(DataSettings(size=8, subsample=share), 0).samples_total == 1


REGIONS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["box", "cross", "lesion"]), "width": st.floats(0.3, 2.5)}
) | st.fixed_dictionaries({"kind": st.just("rim"), "width": st.floats(1.2, 2.5)})


@given(REGIONS, st.integers(0, 1000), st.booleans())
def test_region_labels_lie_half_inside_the_held_out_region(region, seed, periodic):
    content = {
        "seed": seed,
        "data": {"size": 9, "held_out": region, "periodic": periodic},
        "evaluation": {"labels": "region", "samples": 60},
    }
    run = parse(content)
    tested = evaluation_labels(run, build(run.data, seed))
    held = lattice.held_out_mask(tested.labels, run.data)
    assert held.tolist() == [True] * 30 + [False] * 30
    low, high = (1, 10) if periodic else (2, 8)
    assert ((tested.labels >= low) & (tested.labels <= high)).all()
    assert len(np.unique(tested.labels, axis=0)) == 60
    again = evaluation_labels(run, build(run.data, seed))
    assert (again.labels == tested.labels).all()
    assert evaluation_label_count(run.data, run.evaluation) == 60


def test_region_labels_are_uniform_inside():
    """4000 labels in a box of 3: means and quarters within five standard errors."""
    data = {"size": 12, "held_out": {"kind": "box", "width": 3.0}}
    run = parse({"data": data, "evaluation": {"labels": "region", "samples": 8000}})
    inside = evaluation_labels(run, build(run.data, 0)).labels[:4000]
    assert np.abs(inside.mean(axis=0) - 6.5).max() < 5 * 3 / np.sqrt(12 * 4000)
    quarters = np.histogram(inside[:, 0], 4, (5, 8))[0]
    assert np.abs(quarters - 1000).max() < 5 * np.sqrt(750)


def test_region_too_small_to_be_hit_is_refused():
    data = {"size": 12, "held_out": {"kind": "box", "width": 1e-5}}
    run = parse({"data": data, "evaluation": {"labels": "region", "samples": 10}})
    with pytest.raises(UserError, match=r"too few labels lie inside data\.held_out"):
        evaluation_labels(run, build(run.data, 0))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"evaluation": {"labels": "region"}}, "needs data.held_out"),
        (
            {
                "data": {"held_out": {"kind": "box", "width": 2.0}},
                "evaluation": {"labels": "region", "samples": 3},
            },
            "samples 3 is odd",
        ),
    ],
)
def test_region_labels_need_a_region_and_an_even_number(content, problem):
    with pytest.raises(UserError, match=problem):
        parse(content)


def gapped(**gap):
    data = {"size": 10, "spacing": 1.0, "family": "sos+stripes"}
    return build(parse({"data": data | ({"stripe_gap": gap} if gap else {})}).data, 0)


def test_stripe_gap_removes_the_positions_of_a_band_along_both_axes():
    whole, middle, aside = gapped(), gapped(width=3.0), gapped(width=3.0, centre=2.0)
    inside = (whole.stripes >= 1) & (whole.stripes <= 10)
    positions = whole.stripes[inside]  # one coordinate of each stripe
    for found, centre in ((middle, 5.5), (aside, 2.0)):
        near = abs(positions - centre) <= 1.5
        assert near.any()
        assert found.stripes.tolist() == whole.stripes[~near].tolist()
        assert found.samples_2d == whole.samples_2d


def test_settings_that_are_absent_leave_keys_as_they_were():
    settings = parse({"data": {"size": 8}})
    assert {"stripe_gap", "arrangement"}.isdisjoint(settings.model_dump()["data"])
    with_gap = parse({"data": {"size": 8, "family": "sos+stripes", "stripe_gap": {"width": 2.0}}})
    assert with_gap.model_dump()["data"]["stripe_gap"] == {"width": 2.0, "centre": None}


def test_stripe_gap_that_leaves_no_stripe_or_needs_none_is_refused():
    with pytest.raises(UserError, match=r"data\.stripe_gap leaves no stripe"):
        gapped(width=12.0)
    with pytest.raises(UserError, match="'bump' has none"):
        parse({"data": {"size": 8, "stripe_gap": {"width": 2.0}}})
