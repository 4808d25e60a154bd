"""Training labels that are connected, or fragmented, with equal size and equal coverage.

Whether connected examples matter cannot be read off random subsets: larger ones are both denser
and better connected. Here two sets of the same size and the same coverage differ in their clusters
alone. Coverage is held at several distances, so that a model that copies, composes, or interpolates
by a pixel or two is equally well served by both. Both sets are found by simulated annealing from
the same random subset. This is our definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from factorlab.data.lattice import Labels
from factorlab.seeding import Stream, sequence

Places = NDArray[np.int64]

FRAGMENTED = 0.25
"""Largest share of the examples of a fragmented set in one cluster; clusters of two are allowed."""

COVERAGE = 0.01
"""Largest difference, from the random subset, of the share of labels that their nearest example
would get right."""

REACHES = (1.5, 2.0)
"""Further distances in pixels within which a label may have an example."""

FURTHER = 0.03
"""Largest difference of the shares of labels within these distances of an example, and of the share
that the nearest x and the nearest y of all examples would get right."""

MOST_LABELS = 4000  # all pairs of labels are held in memory
_TOLERANCES = np.array([COVERAGE, *(FURTHER for _ in REACHES), FURTHER])
_ATTEMPTS, _STEPS = 4, 30_000
_HOT, _COLD = 2.0, 0.05  # temperatures, in examples


class ImpossibleError(ValueError):
    """No set was found."""


def reach(sigma: float, overlap: float) -> float:
    """Return the distance in pixels at which two bumps have an overlap."""
    return 4 * sigma * math.sqrt(-math.log(overlap))


def arrange(
    labels: Labels,
    asked: Labels,
    start: Places,
    *,
    kind: Literal["connected", "fragmented"],
    distance: float,
    seed: int,
) -> Places:
    """Return the indices of a connected or fragmented set of labels.

    Args:
        labels: All labels to choose from, shape (n, 2), in pixels.
        asked: Labels whose coverage counts, shape (m, 2).
        start: Indices of the random subset, which gives size and coverage, shape (kept,).
        kind: Which of both.
        distance: Distance in pixels below which two examples are linked.
        seed: Seed of the annealing.

    Returns:
        Sorted indices, shape (kept,).

    Raises:
        ImpossibleError: No set was found, or there are too many labels.
    """
    if len(labels) > MOST_LABELS:
        raise ImpossibleError(f"{len(labels)} labels are too many; at most {MOST_LABELS}")
    coverage, links = _Coverage(labels, asked), links_within(labels, distance)
    target = coverage.of(start)
    if len(start) == len(labels):
        raise ImpossibleError("all labels are kept")

    def energy(kept: Places) -> float:
        missed = _excess(largest_cluster(links[np.ix_(kept, kept)]), len(kept), kind)
        away = np.maximum(np.abs(coverage.of(kept) - target) - _TOLERANCES, 0)
        return missed + 4 * len(kept) * float(away.sum())

    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng(sequence(seed, Stream.ARRANGEMENT, attempt))
        found = _annealed(start, len(labels), energy, rng)
        if found is not None:
            return found
    raise ImpossibleError(f"no {kind} set of {len(start)} labels with the coverage of a random one")


def _annealed(
    start: Places, count: int, energy: Callable[[Places], float], rng: np.random.Generator
) -> Places | None:
    """Exchange labels until the energy is zero; None if it does not get there."""
    kept, spare = start.copy(), np.setdiff1d(np.arange(count), start)
    now = energy(kept)
    for step in range(_STEPS):
        if now == 0:
            return np.sort(kept)
        heat = _HOT * (_COLD / _HOT) ** (step / _STEPS)
        out, into = int(rng.integers(len(kept))), int(rng.integers(len(spare)))
        chance = float(rng.random())
        kept[out], spare[into] = spare[into], kept[out]
        then = energy(kept)
        if then <= now or chance < math.exp((now - then) / heat):
            now = then
        else:
            kept[out], spare[into] = spare[into], kept[out]
    return None


def links_within(labels: Labels, distance: float) -> NDArray[np.bool_]:
    """Return which labels are closer than a distance, shape (n, n)."""
    squares = ((labels[:, None] - labels[None]) ** 2).sum(axis=2)
    return np.asarray(squares < distance**2)


class _Coverage:
    """How well examples cover the labels that are asked for."""

    def __init__(self, labels: Labels, asked: Labels) -> None:
        offsets = np.abs(asked[:, None] - labels[None])
        self._squares = (offsets**2).sum(axis=2)
        self._near = np.round(offsets, 9) < 1  # in x and in y, (asked, labels, 2)

    def of(self, kept: Places) -> NDArray[np.float64]:
        """Return the shares of labels that are covered.

        They are: by their nearest example, within each of `REACHES`, and by nearest coordinates.
        """
        chosen = np.sort(kept)
        squares, near = self._squares[:, chosen], self._near[:, chosen]
        nearest = squares.argmin(axis=1)
        rows = np.arange(len(nearest))
        least = squares[rows, nearest]
        return np.array(
            [
                near[rows, nearest].all(axis=1).mean(),
                *((least <= reach**2 + 1e-9).mean() for reach in REACHES),
                np.all(near.any(axis=1), axis=1).mean(),
            ]
        )


def _excess(largest: int, count: int, kind: str) -> float:
    """Return by how many examples the largest cluster is too small, or too large."""
    if kind == "connected":
        return float(count - largest)
    return float(max(0, largest - max(2, math.floor(FRAGMENTED * count))))


def largest_cluster(links: NDArray[np.bool_]) -> int:
    """Return the size of the largest cluster, from the matrix of links."""
    left = np.ones(len(links), dtype=bool)
    largest = 0
    while left.any():
        cluster = np.zeros(len(links), dtype=bool)
        front = cluster.copy()
        front[left.argmax()] = True
        while front.any():
            cluster |= front
            front = links[front].any(axis=0) & ~cluster
        left &= ~cluster
        largest = max(largest, int(cluster.sum()))
    return largest
