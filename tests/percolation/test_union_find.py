"""The engine against networkx, cluster by cluster, and against windings along every link."""

import itertools
from collections import deque

import networkx as nx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from percolation import (
    Link,
    graph,
    growth,
    labels,
    largest_cluster,
    lattice,
    lattice_links,
    neighbours,
    square_links,
)
from percolation.links import Stencil
from percolation.union_find import Workspace, generator_of, realisations_of

steps = st.sampled_from([0.5, 0.7, 1.0, 1.3, 2.0, 50.0])
shares = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def clusters_of(cluster_labels, kept):
    """Sets of sites that share a label."""
    return {
        frozenset(kept[cluster_labels == label].tolist()) for label in np.unique(cluster_labels)
    }


@settings(max_examples=2500)
@given(
    size=st.integers(1, 6),
    spacing=st.one_of(steps, st.tuples(steps, steps)),
    counts=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    sigma=st.floats(0.05, 3),
    threshold=st.floats(0.005, 0.95),
    kind=st.sampled_from(["open", "periodic", "pixel", "periodic pixel", "seam"]),
    share=shares,
    seed=st.integers(0, 2**32),
)
@example(1, 1.0, (1, 1), 1.0, 0.5, "periodic", 1.0, 0)
@example(6, 0.5, (1, 1), 3.0, 0.005, "open", 1.0, 0)  # everything linked with everything
@example(5, 1.0, (1, 1), 1.0, float(np.exp(-1 / 16)), "open", 1.0, 0)  # neighbours at the threshold
def test_labels_and_growth_match_networkx(
    size, spacing, counts, sigma, threshold, kind, share, seed
):
    periodic, pixels = kind.startswith("periodic"), kind.endswith("pixel")
    if periodic:
        spacing = (size / counts[0], size / counts[1])
    link = Link(
        sigma=sigma,
        threshold=threshold,
        overlap="pixel" if pixels else "continuum",
        size=size if pixels else None,
        period=size + 0.25 if kind == "seam" else None,
    )
    links = lattice_links(size, spacing, link, periodic=periodic)
    assert isinstance(links, Stencil) == (kind in {"open", "periodic"})
    reference = graph(
        lattice(size, spacing, periodic=periodic),
        sigma=sigma,
        threshold=threshold,
        overlap=link.overlap,
        size=link.size,
        period=size if periodic else link.period,
    )
    order = np.random.default_rng(seed).permutation(links.sites)
    kept = order[: round(share * links.sites)]
    expected = set(map(frozenset, nx.connected_components(reference.subgraph(kept.tolist()))))
    assert clusters_of(labels(links, kept), kept) == expected
    passed = growth(links, order)
    if len(kept):
        sizes = [len(cluster) for cluster in expected]
        assert passed.largest[len(kept) - 1] == max(sizes)
        assert passed.second_moment[len(kept) - 1] == sum(size**2 for size in sizes)
    assert passed.largest[-1] == len(largest_cluster(reference))


@settings(max_examples=300)
@given(st.integers(1, 7), st.integers(1, 70), st.booleans(), st.integers(0, 2**32), st.floats(0, 1))
def test_labels_of_any_radius_match_networkx(side, radius2, periodic, seed, share):
    links = square_links(side, radius2, periodic=periodic)
    sites = list(itertools.product(range(side), repeat=2))
    reference = nx.empty_graph(len(sites))
    for a, b in itertools.combinations(range(len(sites)), 2):
        apart = np.abs(np.subtract(sites[a], sites[b]))
        if periodic:
            apart = np.minimum(apart, side - apart)
        if (apart**2).sum() <= radius2:
            reference.add_edge(a, b)
    kept = np.random.default_rng(seed).permutation(len(sites))[: round(share * len(sites))]
    expected = set(map(frozenset, nx.connected_components(reference.subgraph(kept.tolist()))))
    assert clusters_of(labels(links, kept), kept) == expected


def windings(links, kept):
    """Whether a cluster of the kept sites winds around x and around y, by following all links."""
    n_x, n_y = links.shape
    offsets = [
        (a, b)
        for a, half in links.reach.tolist()
        for b in range(-half, half + 1)
        if (a, b) != (0, 0)
    ]
    place, wound = {}, [False, False]
    present = set(kept)
    for start in kept:
        if start in place:
            continue
        place[start] = divmod(start, n_y)
        queue = deque([start])
        while queue:
            site = queue.popleft()
            x, y = place[site]
            for a, b in offsets:
                other = (x + a) % n_x * n_y + (y + b) % n_y
                if other not in present:
                    continue
                if other not in place:
                    place[other] = (x + a, y + b)
                    queue.append(other)
                wound[0] |= place[other][0] != x + a
                wound[1] |= place[other][1] != y + b
    return wound


@settings(max_examples=150)
@given(st.integers(1, 6), st.integers(1, 6), st.floats(0.9, 4.2), st.integers(0, 2**32))
@example(2, 5, 1.0, 0)
def test_growth_wraps_match_followed_links(n_x, n_y, radius, seed):
    rows = np.arange(n_x // 2 + 1)[:, None] ** 2 + np.arange(n_y // 2 + 1) ** 2 <= radius**2
    counts = rows.sum(axis=1)
    links = Stencil(shape=(n_x, n_y), half_widths=counts[counts > 0] - 1, periodic=True)
    order = np.random.default_rng(seed).permutation(links.sites)
    found = growth(links, order).wraps
    history = [windings(links, order[:count].tolist()) for count in range(1, links.sites + 1)]
    for axis in range(2):
        wound = [step[axis] for step in history]
        assert found[axis] == (wound.index(True) + 1 if any(wound) else None)


def test_growth_without_periodic_stencil_does_not_wrap():
    assert growth(square_links(6, 4, periodic=False), range(36)).wraps == (None, None)
    listed = neighbours(lattice(6, 1), Link(sigma=1, threshold=0.5, period=6))
    assert growth(listed, range(36)).wraps == (None, None)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("kind", ["stencil", "lists"])
def test_workspace_run_early_matches_whole_run(kind, periodic):
    """The lattice is large enough for rows of several words, and links reach far."""
    size, spacing = 36, 0.5
    link = Link(sigma=1, threshold=0.05, period=size if periodic else None)
    links = lattice_links(size, spacing, Link(sigma=1, threshold=0.05), periodic=periodic)
    if kind == "lists":
        links = neighbours(lattice(size, spacing, periodic=periodic), link)
    early, whole = Workspace(links), Workspace(links, early=False)
    for realisation in range(3):
        order = generator_of(5, realisation).permutation(links.sites)
        expected, found = whole.run(order), early.run(order)
        np.testing.assert_array_equal(found.largest, expected.largest)
        np.testing.assert_array_equal(found.second_moment, expected.second_moment)
        assert found.wraps == expected.wraps
        assert (None in found.wraps) == (kind == "lists" or not periodic)


def test_growth_of_far_links_matches_networkx():
    """Half rows span several words, at the edges and in the middle."""
    size, spacing, threshold = 40, 0.25, 0.3
    link = Link(sigma=4, threshold=threshold)
    links = lattice_links(size, spacing, link)
    assert links.half_widths[0] > 64
    order = generator_of(1, 0).permutation(links.sites)
    passed = growth(links, order)
    centres = lattice(size, spacing)
    for count in (2, 3, 5, 9, 17, 40, 300):
        reference = graph(centres[order[:count]], sigma=4, threshold=threshold)
        assert passed.largest[count - 1] == len(largest_cluster(reference))


def test_workspace_run_draws_a_permutation():
    links = square_links(9, 2, periodic=False)
    workspace = Workspace(links)
    drawn = workspace.run(generator=generator_of(3, 0)).largest.copy()
    order = workspace._order.copy()
    assert sorted(order) == list(range(81))
    np.testing.assert_array_equal(growth(links, order).largest, drawn)


def test_workspace_run_draws_uniform_orders():
    """All 24 orders of four sites are equally frequent (chi-squared, 23 degrees of freedom)."""
    workspace = Workspace(square_links(2, 1, periodic=False), early=False)
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    generator = generator_of(0, 0)
    for _ in range(4800):
        workspace.run(generator=generator)
        counts[tuple(workspace._order.tolist())] += 1
    chi_squared = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_squared < 49.7  # exceeded once in 1000 times


def test_labels_sorted_by_size_then_first_site():
    links = square_links(4, 1, periodic=False)
    kept = [15, 0, 1, 8, 4, 10, 11]  # {0, 1, 4, 8} in the corner, {10, 11, 15}
    np.testing.assert_array_equal(labels(links, kept), [1, 0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(labels(links, [15, 0]), [0, 1])
    assert labels(links, []).shape == (0,)


@pytest.mark.parametrize("order", [[0, 0], [-1], [9], [[0, 1]]])
def test_growth_refuses_bad_orders(order):
    with pytest.raises(ValueError, match=r"^The sites to keep must"):
        growth(square_links(3, 1), order)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_realisations_of_independent_of_workers(workers):
    links = square_links(12, 4, periodic=False)

    def observe(passed, generator):
        return np.append(passed.largest, generator.random())

    reports = []
    found = realisations_of(
        links, observe, range(7), seed=3, workers=workers, report=reports.append
    )
    assert sum(reports) == 7
    for realisation, row in enumerate(found):
        generator = generator_of(3, realisation)
        alone = Workspace(links).run(generator=generator)
        np.testing.assert_array_equal(row[:-1], alone.largest)
        assert row[-1] == generator.random()
    assert len({tuple(row) for row in found.tolist()}) == 7


def test_realisations_of_raises_failure_and_stops():
    seen = []

    def observe(passed, _generator):
        seen.append(1)
        if len(seen) == 5:
            raise KeyError("lost")
        return passed.largest

    with pytest.raises(KeyError, match="lost"):
        realisations_of(square_links(5, 1), observe, range(100_000), seed=0, workers=2)
    # The other worker runs on until Python switches threads, which takes 5 ms or 100 passes.
    assert len(seen) < 1000


def test_realisations_of_refuses_none():
    with pytest.raises(ValueError, match=r"^realisations is 0"):
        realisations_of(square_links(5, 1), lambda passed, _: passed.largest, [], seed=0)


def test_square_links_refuses_pass_beyond_memory(monkeypatch):
    monkeypatch.setattr("percolation.memory.available", lambda: 1000)
    with pytest.raises(ValueError, match=r"would take 0\.0 GB of memory, but 0\.0 GB is free"):
        square_links(50, 1)
