"""The percolation engine: one union-find pass gives the cluster sizes at every lambda.

A pass adds sites in random order and joins each new site to the kept sites that it is linked to
(Newman and Ziff, Phys. Rev. E 64, 016706, 2001). The sites kept at a smaller lambda are therefore
a subset of those kept at a larger one.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from percolation import _kernels
from percolation.errors import ParameterError
from percolation.links import SITE_BYTES, Links, Neighbours, Stencil
from percolation.memory import available, check_memory

Report = Callable[[int], None]
"""Callback that receives the number of realisations completed since its previous call."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Growth:
    """Cluster sizes after each addition of a pass over k sites."""

    largest: NDArray[np.int32]
    """Size of the largest cluster with 1, 2, ... k kept sites, shape (k,)."""

    second_moment: NDArray[np.int64]
    """Sum of the squared sizes of all clusters with 1, 2, ... k kept sites, shape (k,)."""

    wraps: tuple[int | None, int | None]
    """Number of kept sites at which a cluster first wraps around the torus along x, and along y;
    None if no cluster does or the links are not those of a torus."""


class Workspace:
    """Arrays for repeated passes over the same links; for use by one thread.

    The arrays of a returned `Growth` belong to the workspace: the next pass overwrites them.

    Args:
        links: Links between the sites.
        early: Whether a pass ends as soon as the remaining values are known. The returned `Growth`
            is the same; fewer sites are drawn and joined.

    Raises:
        ParameterError: Memory does not suffice.
    """

    def __init__(self, links: Links, *, early: bool = True) -> None:
        sites = links.sites
        check_memory(sites * SITE_BYTES, f"A pass over {sites:,} sites", "take a smaller lattice")
        self._links = links
        stencil = links if isinstance(links, Stencil) else None
        self._pad = max(1, int(stencil.half_widths[0])) if stencil else 0
        self._shape = stencil.shape if stencil else (1, sites)
        rows, length = self._shape
        self._words = np.zeros(rows * _words(length + 2 * self._pad), dtype=np.uint64)
        self._order = np.empty(sites, dtype=np.int32)
        self._parent = np.empty(sites, dtype=np.int32)
        self._shift = np.empty(sites, dtype=np.int64) if stencil and stencil.periodic else None
        self._largest = np.empty(sites, dtype=np.int32)
        self._squares = np.empty(sites, dtype=np.int64)
        self._wraps = np.empty(2, dtype=np.int64)
        # With k links per site, all sites are covered once about ln(n) / k of them are kept. With
        # few links that is too late for the check to pay off.
        self._covered = self._beyond = None
        if early and links.neighbours > 2 * np.log(max(sites, 2)):
            row = np.zeros(_words(length), dtype=np.uint64)
            if length % 64:
                row[-1] = np.uint64(2**64 - 2 ** (length % 64))
            self._beyond = np.tile(row, rows)
            self._covered = self._beyond.copy()

    def run(
        self,
        order: ArrayLike | None = None,
        *,
        generator: np.random.Generator | None = None,
        until_wrap: bool = False,
    ) -> Growth:
        """Run one pass.

        Args:
            order: Sites to add, in this order, each at most once, shape (k,); None for all sites.
            generator: Shuffles the sites of `order`. None keeps their order.
            until_wrap: Whether to stop once clusters wrap around both axes. Later entries of the
                result are then not written.
        """
        kept = len(self._order)
        if order is None:
            self._order[:] = np.arange(kept, dtype=np.int32)
        else:
            given = np.asarray(order)
            kept = len(given)
            self._order[:kept] = given
        self._words[:] = 0
        if self._covered is not None and self._beyond is not None:
            self._covered[:] = self._beyond
        links = self._links
        stencil = links if isinstance(links, Stencil) else None
        lists = links if isinstance(links, Neighbours) else None
        groups = None if stencil is None else stencil.groups
        _kernels.grow(
            self._order[:kept],
            generator,
            self._shape,
            self._shift is not None,
            groups,
            None if stencil is None or groups is not None else stencil.runs,
            None if stencil is None else stencil.reach,
            self._pad,
            None if lists is None else lists.starts,
            None if lists is None else lists.partners,
            self._words,
            self._covered,
            self._parent,
            self._shift,
            self._largest,
            self._squares,
            self._wraps,
            until_wrap,
        )
        along_x, along_y = (None if w == _kernels.NEVER else int(w) for w in self._wraps)
        return Growth(
            largest=self._largest[:kept],
            second_moment=self._squares[:kept],
            wraps=(along_x, along_y),
        )

    def roots(self, sites: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the root of each kept site of the last pass; sites of a cluster share one root."""
        roots = sites.copy()
        while True:
            above = self._parent[roots].astype(np.int64)
            if (above < 0).all():
                return roots
            roots = np.where(above < 0, roots, above)


def growth(links: Links, order: ArrayLike) -> Growth:
    """Compute the cluster sizes while sites are added in a given order.

    Args:
        links: Links between the sites.
        order: Sites to add, each at most once, shape (k,).

    Raises:
        ParameterError: `order` contains a site twice or a site that does not exist, or memory does
            not suffice.
    """
    return Workspace(links).run(_check_order(links, order))


def labels(links: Links, kept: ArrayLike) -> NDArray[np.int64]:
    """Label the cluster of every kept site; 0 is the largest cluster.

    Labels follow decreasing cluster size. Clusters of equal size are ordered by the position of
    their first site in `kept`.

    Args:
        links: Links between the sites.
        kept: The kept sites, each once, shape (k,).

    Returns:
        Labels from 0, shape (k,).

    Raises:
        ParameterError: `kept` contains a site twice or a site that does not exist, or memory does
            not suffice.
    """
    sites = _check_order(links, kept)
    if not len(sites):
        return np.empty(0, dtype=np.int64)
    room = Workspace(links, early=False)
    room.run(sites)
    _, first, cluster, sizes = np.unique(
        room.roots(sites), return_index=True, return_inverse=True, return_counts=True
    )
    by_size = np.lexsort((first, -sizes))
    rank = np.empty_like(by_size)
    rank[by_size] = np.arange(len(by_size))
    return np.asarray(rank[cluster], dtype=np.int64)


def generator_of(seed: int, realisation: int) -> np.random.Generator:
    """Return the random generator of one realisation, independent of the number of realisations."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(realisation,)))


def realisations_of(
    links: Links,
    observe: Callable[[Growth, np.random.Generator], NDArray[np.float64]],
    realisations: Iterable[int],
    *,
    seed: int,
    until_wrap: bool = False,
    workers: int | None = None,
    report: Report | None = None,
) -> NDArray[np.float64]:
    """Compute an observable for random realisations, each a pass over all sites.

    The compiled pass releases the GIL, so threads run in parallel. Each realisation has its own
    seed, so the result does not depend on the number of threads.

    Args:
        links: Links between the sites.
        observe: Computes an array from a pass and the random generator of the realisation.
        realisations: Indices of the realisations, at least one.
        seed: Any non-negative integer.
        until_wrap: Whether to stop a pass once clusters wrap around both axes of the torus.
        workers: Number of threads, by default the number of cores; limited by memory.
        report: Progress callback; any of the threads may call it.

    Returns:
        The observables, one row per realisation, in the given order.

    Raises:
        ParameterError: There is no realisation, or memory does not suffice for one.
    """
    numbers = list(realisations)
    if not numbers:
        raise ParameterError("realisations is 0, but it must be at least 1.")
    threads = min(len(numbers), workers or _cores(), _room_for(links))
    todo = iter(enumerate(numbers))  # shared: each thread takes the next realisation
    results: list[NDArray[np.float64] | None] = [None] * len(numbers)
    stopped = False

    def work() -> None:
        nonlocal stopped
        try:
            # Clusters wrap before they cover every site, so `until_wrap` needs no `early`.
            room = Workspace(links, early=not until_wrap)
            for index, number in todo:
                generator = generator_of(seed, number)
                passed = room.run(generator=generator, until_wrap=until_wrap)
                results[index] = observe(passed, generator)
                if report is not None:
                    report(1)
                if stopped:
                    return
        except BaseException:
            stopped = True
            raise

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stopped = True
            raise
    return np.stack([result for result in results if result is not None])


def standard_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of the mean over the first axis; NaN for a single value."""
    count = len(values)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(count))


def _check_order(links: Links, order: ArrayLike) -> NDArray[np.int64]:
    sites = np.asarray(order, dtype=np.int64)
    if sites.ndim != 1 or len(np.unique(sites)) != sites.size:
        raise ParameterError("The sites to keep must be a list that contains each site once.")
    if sites.size and not (sites.min() >= 0 and sites.max() < links.sites):
        raise ParameterError(f"The sites to keep must lie between 0 and {links.sites - 1}.")
    return sites


def _words(bits: int) -> int:
    """Return the number of 64-bit words that hold a row."""
    return -(-bits // 64)


def _cores() -> int:
    """Return the number of cores available to this process."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _room_for(links: Links) -> int:
    """Return how many passes fit into memory at once, at least 1 (`Workspace` checks that one)."""
    return max(1, available() // (links.sites * SITE_BYTES))
