"""Connected and fragmented data sets, against the percolation engine and the null model."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import percolation
from analysis.measures.null_models import composed, nearest
from factorlab.data import arrangement
from factorlab.data.arrangement import (
    COVERAGE,
    FURTHER,
    REACHES,
    ImpossibleError,
    arrange,
    links_within,
    reach,
)
from factorlab.data.dataset import build
from factorlab.data.example_set import ExampleSet, largest_cluster
from factorlab.errors import UserError
from factorlab.parsing import parse
from percolation import Link, graph, radius

DATA = {"size": 10, "spacing": 0.5, "sigma": 0.5, "subsample": 0.08}


def run(seed, kind=None, **data):
    chosen = {"arrangement": {"kind": kind}} if kind else {}
    return parse({"data": DATA | data | chosen, "seed": seed})


def plane(data):
    """The lattice labels at least a pixel from the rim."""
    return [(x, y) for x, y in data.lattice if 2 <= x <= 9 and 2 <= y <= 9]


def covered(asked, data, distance):
    """The share of labels with an example within a distance, by a search through all."""
    examples = data.lattice[data.seen]
    near = [min(math.dist(label, one) for one in examples) <= distance + 1e-9 for label in asked]
    return sum(near) / len(near)


@given(st.integers(0, 10_000), st.sampled_from(["connected", "fragmented"]))
@settings(max_examples=4)
def test_arranged_sets_keep_size_and_coverage_and_have_their_clusters(seed, kind):
    plain, found = run(seed), run(seed, kind)
    random, arranged = (build(one.data, seed) for one in (plain, found))
    assert arranged.samples_2d == random.samples_2d
    assert found.data.arrangement.overlap == 0.5
    asked = plane(random)
    labels = np.array(asked)
    for tolerance, null_model in ((COVERAGE, nearest), (FURTHER, composed)):
        right = [
            (np.round(null_model.errors(one, labels), 9) < 1).all(axis=1).mean()
            for one in (random, arranged)
        ]
        assert right[1] == pytest.approx(right[0], abs=tolerance + 1e-9)
    for distance in REACHES:
        shares = [covered(asked, one, distance) for one in (random, arranged)]
        assert shares[1] == pytest.approx(shares[0], abs=FURTHER + 1e-9)
    centres = arranged.lattice[arranged.seen]
    share = len(percolation.largest_cluster(graph(centres, sigma=0.5, threshold=0.5))) / len(
        centres
    )
    assert share == 1 if kind == "connected" else share <= 0.25


@given(st.integers(1, 40), st.floats(0.3, 4), st.integers(0, 1000))
def test_largest_cluster_agrees_with_the_percolation_engine(count, distance, seed):
    centres = np.random.default_rng(seed).uniform(1, 9, (count, 2))
    overlap = float(np.exp(-(distance**2) / 16))
    expected = len(percolation.largest_cluster(graph(centres, sigma=1.0, threshold=overlap)))
    links = links_within(centres, reach(1.0, overlap))
    assert largest_cluster(links, np.arange(count)) == expected


def test_largest_cluster_of_some_labels():
    links = links_within(np.array([[1.0, 1], [2, 1], [3, 1], [8, 8]]), 1.5)
    assert largest_cluster(links, np.array([2, 3, 0])) == 1
    assert largest_cluster(links, np.array([2, 1, 3, 0])) == 3
    assert largest_cluster(links, np.array([], dtype=int)) == 0


def shares(labels, asked, examples):
    """The four kinds of coverage, from all distances."""
    offsets = np.abs(asked[:, None] - labels[np.sort(examples)][None])
    squares, near = (offsets**2).sum(axis=2), np.round(offsets, 9) < 1
    copied = near[np.arange(len(asked)), squares.argmin(axis=1)].all(axis=1)
    composed = near.any(axis=1).all(axis=1)
    within = [squares.min(axis=1) <= distance**2 + 1e-9 for distance in REACHES]
    return [float(np.mean(one)) for one in (copied, *within, composed)]


@given(st.integers(3, 9), st.sampled_from([0.5, 1.0]), st.integers(0, 10_000), st.integers(1, 12))
def test_exchanged_examples_have_the_coverage_of_their_set(size, spacing, seed, count):
    rng = np.random.default_rng(seed)
    axis = np.arange(1, size + 0.25, spacing)
    labels = np.array([(x, y) for x in axis for y in axis])
    asked = labels[rng.random(len(labels)) < 0.6]
    asked = asked if len(asked) else labels
    count = min(count, len(labels) - 1)
    examples = rng.permutation(len(labels))[:count]
    tried = ExampleSet(labels, asked, examples, REACHES)
    assert tried.coverage().tolist() == shares(labels, asked, examples)
    for _ in range(20):
        spare = np.setdiff1d(np.arange(len(labels)), tried.examples)
        place, label = int(rng.integers(count)), int(rng.choice(spare))
        expected = int(tried.examples[place])
        assert tried.exchange(place, label) == expected
        assert tried.examples[place] == label
        assert tried.coverage().tolist() == shares(labels, asked, tried.examples)


@pytest.mark.parametrize(
    ("kind", "digest"), [("connected", "2d3ddf8c29a75ad3"), ("fragmented", "868b95bf24452f74")]
)
def test_arranged_sets_are_those_of_earlier_records(kind, digest):
    data = build(run(3, kind).data, 3)
    assert hashlib.sha256(data.seen.tobytes()).hexdigest()[:16] == digest


def test_reach_is_the_radius_of_percolation():
    assert reach(0.7, 0.3) == radius(0.7, 0.3)
    assert Link(sigma=0.7, threshold=0.3)


def test_same_seed_gives_the_same_set():
    digests = {build(run(3, "fragmented").data, 3).digest for _ in range(2)}
    assert len(digests) == 1
    assert build(run(3, "connected").data, 3).digest not in digests


def test_held_out_labels_stay_held_out():
    found = run(0, "connected", held_out={"kind": "box", "width": 3.0}, subsample=0.1)
    data = build(found.data, 0)
    x, y = data.lattice[data.seen].T
    assert not ((abs(x - 5.5) <= 1.5) & (abs(y - 5.5) <= 1.5)).any()


def test_impossible_sets_are_refused(monkeypatch):
    monkeypatch.setattr(arrangement, "_STEPS", 50)
    with pytest.raises(UserError, match=r"data\.arrangement: all labels are kept; allowed"):
        build(run(0, "fragmented", subsample=1.0).data, 0)
    with pytest.raises(UserError, match="no fragmented set of 108 labels"):
        build(run(0, "fragmented", subsample=0.3, sigma=2.0).data, 0)
    many = np.zeros((5000, 2))
    with pytest.raises(ImpossibleError, match="5000 labels are too many"):
        arrange(many, many, np.arange(5), kind="connected", distance=1.0, seed=0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"periodic": True}, "not periodic"),
        ({"family": "stripes"}, "needs 2D examples"),
        ({"sigma": (0.5, 1.0)}, "one sigma"),
    ],
)
def test_settings_without_clusters_are_refused(data, words):
    with pytest.raises(UserError, match=words):
        run(0, "connected", **data)
