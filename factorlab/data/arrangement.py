"""Training labels that are connected, or fragmented, with equal size and equal coverage.

Whether connected examples matter cannot be read off random subsets: larger ones are both denser
and better connected. Here two sets of the same size and the same coverage differ in their clusters
alone. Coverage is held at several distances, so that a model that copies, composes, or interpolates
by a pixel or two is equally well served by both. Both sets are found by simulated annealing from
the same random subset. This is our definition.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from factorlab.data.lattice import Labels
from factorlab.seeding import Stream, sequence

if TYPE_CHECKING:
    from factorlab.data.example_set import ExampleSet, Links, Places

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
    if len(start) == len(labels):
        raise ImpossibleError("all labels are kept")
    from factorlab.data.example_set import ExampleSet  # noqa: PLC0415 - numba costs a second

    links = links_within(labels, distance)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng(sequence(seed, Stream.ARRANGEMENT, attempt))
        found = _annealed(ExampleSet(labels, asked, start, REACHES), links, kind, rng)
        if found is not None:
            return found
    raise ImpossibleError(f"no {kind} set of {len(start)} labels with the coverage of a random one")


def _annealed(kept: ExampleSet, links: Links, kind: str, rng: np.random.Generator) -> Places | None:
    """Exchange labels until the energy is zero; None if it does not get there."""
    from factorlab.data.example_set import largest_cluster  # noqa: PLC0415 - as above

    count, target = len(kept.examples), kept.coverage()

    def energy() -> float:
        missed = _excess(largest_cluster(links, kept.examples), count, kind)
        away = np.maximum(np.abs(kept.coverage() - target) - _TOLERANCES, 0)
        return missed + 4 * count * float(away.sum())

    spare = np.setdiff1d(np.arange(len(links)), kept.examples)
    now = energy()
    for step in range(_STEPS):
        if now == 0:
            return np.sort(kept.examples)
        heat = _HOT * (_COLD / _HOT) ** (step / _STEPS)
        out, into = int(rng.integers(count)), int(rng.integers(len(spare)))
        chance = float(rng.random())
        spare[into] = kept.exchange(out, int(spare[into]))
        then = energy()
        if then <= now or chance < math.exp((now - then) / heat):
            now = then
        else:
            spare[into] = kept.exchange(out, int(spare[into]))
    return None


def links_within(labels: Labels, distance: float) -> Links:
    """Return which labels are closer than a distance, shape (n, n)."""
    squares = ((labels[:, None] - labels[None]) ** 2).sum(axis=2)
    return np.asarray(squares < distance**2)


def _excess(largest: int, count: int, kind: str) -> float:
    """Return by how many examples the largest cluster is too small, or too large."""
    if kind == "connected":
        return float(count - largest)
    return float(max(0, largest - max(2, math.floor(FRAGMENTED * count))))
