"""Largest clusters of randomly kept bumps, and how many bumps it takes to connect them.

A realisation draws one random order of all lattice sites and keeps the first of them, so that
the sites kept at a smaller lambda are a subset of those kept at a larger one. One pass over
that order gives the largest cluster at every lambda (after Newman and Ziff 2001).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from percolation.lattice import Link, check_centres, lattice

# Sites of the first attempt of `growth`; it doubles until the lattice is covered.
_FIRST = 64


@dataclass(frozen=True, kw_only=True)
class MassRatio:
    """Largest connected mass ratio against lambda ([F] Fig 6), all arrays of shape (lambdas,)."""

    fraction: NDArray[np.float64]
    """Share lambda of the lattice that is kept, as asked for."""

    sites_kept: NDArray[np.int64]
    """Number of sites kept, `round(lambda * n)`."""

    mass_ratio_kept: NDArray[np.float64]
    """Size of the largest cluster over the sites kept, averaged over realisations."""

    kept_error: NDArray[np.float64]
    """Standard error of `mass_ratio_kept` over realisations; NaN for one realisation."""

    mass_ratio_all: NDArray[np.float64]
    """Size of the largest cluster over all sites of the lattice, averaged over realisations."""

    all_error: NDArray[np.float64]
    """Standard error of `mass_ratio_all` over realisations; NaN for one realisation."""


@dataclass(frozen=True, kw_only=True)
class CriticalCount:
    """Number of sites at which the largest cluster comes to hold a given share of them."""

    value: float | None
    """Mean over realisations, or None if even the whole lattice stays below the level."""

    error: float | None
    """Standard error of `value` over realisations; None for one realisation or no value."""

    sites: int
    """Number of sites of the whole lattice."""

    counts: NDArray[np.int64]
    """The count of every realisation, shape (realisations,), or (0,) if there is none."""


def largest_cluster(graph: "nx.Graph[int]") -> frozenset[int]:
    """Nodes of the largest connected component; the empty set for an empty graph.

    Among components of equal size the first in node order is taken. The cost is O(V + E).

    Example:
        >>> sorted(largest_cluster(nx.Graph([(0, 1), (1, 2), (3, 4)])))
        [0, 1, 2]
    """
    return frozenset(max(nx.connected_components(graph), key=len, default=frozenset()))


def site_orders(sites: int, realisations: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Random orders in which sites are added, one for each realisation.

    Realisation i draws from the i-th child of the seed, so that it is the same however many
    realisations are asked for.

    Args:
        sites: Number of sites n of the lattice.
        realisations: How many orders to draw, at least 1.
        seed: Any non-negative integer.

    Yields:
        Permutations of 0..n-1, shape (n,).

    Raises:
        ValueError: `realisations` is below 1.
    """
    if realisations < 1:
        raise ValueError(f"realisations is {realisations}, but it must be at least 1.")
    for child in np.random.SeedSequence(seed).spawn(realisations):
        yield np.random.default_rng(child).permutation(sites)


def growth(centres: ArrayLike, order: ArrayLike, link: Link) -> NDArray[np.int64]:
    """Size of the largest cluster after each site is added.

    In the continuum the work stops early, and exactly: once the sites present are one cluster
    that reaches every site of the lattice, each site added later joins it. So a lattice far finer
    than the link's reach costs little more than a coarse one.

    Args:
        centres: All sites (x, y) of the lattice in pixels, shape (n, 2).
        order: Order in which the sites are added, a permutation of 0..n-1.
        link: The rule that joins two sites.

    Returns:
        Sizes of the largest cluster with 1, 2, ... n sites present, shape (n,).

    Raises:
        ValueError: `centres` is not of shape (n, 2), or too many pairs are near (see `Link`).
    """
    points = check_centres(centres)[np.asarray(order, dtype=np.int64)]  # in order of arrival
    n = len(points)
    early = link.overlap == "continuum"
    count = min(n, _FIRST) if early else n
    while True:
        present = points[:count]
        largest = _grow(count, link.pairs(present))
        if count == n:
            return largest
        # A lattice that is reached everywhere has no kept site outside the cluster, so the cheap
        # test comes first.
        if largest[-1] == count and link.reaches_all(present, points):
            return np.concatenate([largest, np.arange(count + 1, n + 1)])
        count = min(n, 2 * count)


def mass_ratio(
    centres: ArrayLike,
    fractions: Sequence[float],
    link: Link,
    *,
    realisations: int = 20,
    seed: int = 0,
) -> MassRatio:
    """Largest connected mass ratio of a randomly thinned lattice, against the share kept.

    Args:
        centres: All sites (x, y) of the lattice in pixels, shape (n, 2).
        fractions: Shares lambda of the sites to keep, each in (0, 1]; exactly
            `round(lambda * n)` sites are kept.
        link: The rule that joins two sites.
        realisations: Random orders to average over.
        seed: Seed of the random orders.

    Returns:
        The averages and their standard errors; see `MassRatio`.

    Raises:
        ValueError: A lambda is outside (0, 1] or keeps no site, or another parameter is out of
            its range.
    """
    points = check_centres(centres)
    n = len(points)
    kept = np.array([_kept(fraction, n) for fraction in fractions], dtype=np.int64)
    sizes = np.array(
        [growth(points, order, link)[kept - 1] for order in site_orders(n, realisations, seed)],
        dtype=np.float64,
    )  # (realisations, lambdas)
    mean, error = sizes.mean(axis=0), _standard_error(sizes)
    return MassRatio(
        fraction=np.array(fractions, dtype=np.float64),
        sites_kept=kept,
        mass_ratio_kept=mean / kept,
        kept_error=error / kept,
        mass_ratio_all=mean / n,
        all_error=error / n,
    )


def critical_count(
    centres: ArrayLike,
    link: Link,
    *,
    level: float = 0.6,
    realisations: int = 50,
    seed: int = 0,
) -> CriticalCount:
    """Number of sites from which on the largest cluster holds a given share of them.

    A single site is a cluster of its own: the mass ratio (over kept sites) starts at 1, dips as
    unconnected sites arrive, and rises again when they connect. The crossing of a realisation is
    therefore the smallest count, at least 2, from which on the ratio never falls below the level
    again (our definition). A count of 2 means that the ratio never dipped: the bumps overlap
    almost everywhere in the frame and percolation sets no threshold.

    Args:
        centres: All sites (x, y) of the lattice in pixels, shape (n, 2).
        link: The rule that joins two sites.
        level: Share of the kept sites in the largest cluster, in (0, 1].
        realisations: Random orders to average over.
        seed: Seed of the random orders.

    Returns:
        Mean and standard error over realisations; see `CriticalCount`.

    Raises:
        ValueError: `level` is outside (0, 1], the lattice has fewer than 2 sites, or another
            parameter is out of its range.
    """
    points = check_centres(centres)
    n = len(points)
    if not 0 < level <= 1:
        raise ValueError(f"level is {level}, but it must lie in (0, 1].")
    if n < 2:
        raise ValueError(f"centres holds {n} site, but a crossing needs at least 2.")
    counts = []
    for order in site_orders(n, realisations, seed):
        ratio = growth(points, order, link) / np.arange(1, n + 1)
        below = np.flatnonzero(ratio < level)
        last_below = int(below[-1]) + 1 if below.size else 0  # as a count of sites
        if last_below == n:  # the whole lattice is the same in every realisation
            return CriticalCount(value=None, error=None, sites=n, counts=np.array([], np.int64))
        counts.append(max(last_below + 1, 2))
    error = float(_standard_error(np.array(counts, dtype=np.float64)))
    return CriticalCount(
        value=float(np.mean(counts)),
        error=None if np.isnan(error) else error,
        sites=n,
        counts=np.array(counts, dtype=np.int64),
    )


def predict_samples(
    size: int,
    spacing: float | Sequence[float],
    *,
    sigma: float,
    threshold: float,
    level: float = 0.6,
    realisations: int = 50,
    seed: int = 0,
) -> CriticalCount:
    """Percolation's prediction of how many bumps a data set needs.

    The `critical_count` of the lattice of bump centres in an N x N frame, with the continuum
    overlap.

    Args:
        size: Side N of the frame in pixels.
        spacing: Lattice increment d in pixels, or (d_x, d_y).
        sigma: Spread of the bumps in pixels.
        threshold: Overlap above which two bumps are joined.
        level: Share of the kept bumps that the largest cluster must hold.
        realisations: Random orders to average over.
        seed: Seed of the random orders.

    Returns:
        Mean and standard error over realisations; see `CriticalCount`.

    Raises:
        ValueError: A parameter is out of its range.
    """
    link = Link(sigma=sigma, threshold=threshold)
    return critical_count(
        lattice(size, spacing), link, level=level, realisations=realisations, seed=seed
    )


def _grow(sites: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Size of the largest cluster after each arrival, shape (sites,), for sites named by arrival.

    A pair exists from the arrival of its later site on. Of all pairs only a minimum spanning
    forest over these times can ever merge two clusters (Kruskal), and compiled code finds it;
    the loop below walks its n - 1 edges at most.
    """
    time = pairs.max(axis=1, initial=0)
    weights = csr_array((time + 1.0, (pairs[:, 0], pairs[:, 1])), shape=(sites, sites))
    forest = minimum_spanning_tree(weights).tocoo()
    chronological = np.argsort(forest.data, kind="stable")
    parent, mass = list(range(sites)), [1] * sites

    def root(site: int) -> int:
        while parent[site] != site:
            parent[site] = parent[parent[site]]
            site = parent[site]
        return site

    largest = np.ones(sites, dtype=np.int64)
    for edge in chronological.tolist():
        small, big = root(int(forest.row[edge])), root(int(forest.col[edge]))
        if mass[small] > mass[big]:
            small, big = big, small
        parent[small] = big
        mass[big] += mass[small]
        arrival = int(forest.data[edge]) - 1
        largest[arrival] = max(largest[arrival], mass[big])
    return np.maximum.accumulate(largest)


def _kept(fraction: float, sites: int) -> int:
    """Sites kept at a share lambda."""
    if not 0 < fraction <= 1:
        raise ValueError(f"lambda is {fraction}, but it must lie in (0, 1].")
    kept = round(fraction * sites)
    if kept < 1:
        raise ValueError(f"lambda is {fraction}, but that keeps none of the {sites} sites.")
    return kept


def _standard_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of the mean over the first axis; NaN where there is only one value."""
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(count))
