"""A set of examples with its coverage and largest cluster, updated as examples are exchanged.

The search of `arrangement` exchanges an example ten thousands of times. Most labels keep their
nearest example, so that an exchange costs a comparison for each label that is asked for, and a
search among the examples for those few whose nearest one has left (numba).

Shapes: n labels to choose from, m labels that are asked for, k examples.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from factorlab.data.lattice import Labels
from factorlab.system import cache_folder

cache_folder.provide()  # numba reads the location when it compiles the first function

Places = NDArray[np.int64]
Links = NDArray[np.bool_]
Floats = NDArray[np.float64]


class ExampleSet:
    """Examples among the labels of a lattice."""

    def __init__(
        self, labels: Labels, asked: Labels, examples: Places, reaches: tuple[float, ...]
    ) -> None:
        """Start from a set.

        Args:
            labels: All labels to choose from, shape (n, 2), in pixels.
            asked: Labels whose coverage counts, shape (m, 2).
            examples: Indices of the examples among the labels, shape (k,). The array is copied.
            reaches: Distances in pixels within which a label may have an example.
        """
        offsets = np.abs(labels[:, None] - asked[None])
        self._squares = np.ascontiguousarray((offsets**2).sum(axis=2))  # (n, m)
        self._near = np.round(offsets, 9) < 1  # in x and in y, (n, m, 2)
        self._limits = np.array([reach**2 + 1e-9 for reach in reaches])
        self._nearest = np.empty(len(asked), dtype=np.int64)  # places of the examples, (m,)
        self._coordinates = np.zeros((len(asked), 2), dtype=np.int64)  # examples near in x, in y
        self.examples = examples.copy()
        for label in range(len(asked)):
            self._nearest[label] = _nearest(self._squares, self.examples, label)
            self._coordinates[label] = self._near[self.examples, label].sum(axis=0)

    def coverage(self) -> NDArray[np.float64]:
        """Return the shares of labels that are covered.

        They are: by their nearest example, within each of the reaches, and by the nearest x and
        the nearest y of all examples.
        """
        counts = _covered(self._squares, self._near, self._limits, self._nearest, self._coordinates)
        return np.asarray(counts / len(self._nearest))

    def exchange(self, place: int, label: int) -> int:
        """Replace the example at a place by a label; return the index of the one that left."""
        before = int(self.examples[place])
        self.examples[place] = label
        _exchange(
            self._squares,
            self._near,
            self.examples,
            self._nearest,
            self._coordinates,
            before,
            label,
        )
        return before


@njit(cache=True)
def _nearest(squares: Floats, examples: Places, label: int) -> int:
    """Return the example nearest to a label: of equally near ones, that of the lowest index."""
    best = int(examples[0])
    for place in examples[1:]:
        less = squares[place, label] < squares[best, label]
        if less or (squares[place, label] == squares[best, label] and place < best):
            best = int(place)
    return best


@njit(cache=True)
def _exchange(
    squares: Floats,
    near: Links,
    examples: Places,
    nearest: Places,
    coordinates: Places,
    before: int,
    after: int,
) -> None:
    """Update the nearest example of each label, and how many are near in x and in y."""
    for label in range(len(nearest)):
        for axis in range(2):
            coordinates[label, axis] += near[after, label, axis]
            coordinates[label, axis] -= near[before, label, axis]
        best = nearest[label]
        if best == before:
            nearest[label] = _nearest(squares, examples, label)
        elif squares[after, label] < squares[best, label] or (
            squares[after, label] == squares[best, label] and after < best
        ):
            nearest[label] = after


@njit(cache=True)
def _covered(
    squares: Floats, near: Links, limits: Floats, nearest: Places, coordinates: Places
) -> Floats:
    """Return how many labels are covered, for each kind of coverage."""
    counts = np.zeros(len(limits) + 2)
    for label in range(len(nearest)):
        place = nearest[label]
        counts[0] += near[place, label, 0] and near[place, label, 1]
        for one in range(len(limits)):
            counts[one + 1] += squares[place, label] <= limits[one]
        counts[-1] += coordinates[label, 0] > 0 and coordinates[label, 1] > 0
    return counts


@njit(cache=True)
def largest_cluster(links: Links, examples: Places) -> int:
    """Return the size of the largest cluster.

    Args:
        links: Which labels are linked, shape (n, n).
        examples: Indices of the examples, shape (k,).

    Returns:
        Number of examples, 0 without any.
    """
    waiting = examples.copy()  # first those to visit from, then those not yet reached
    largest, reached, visited = 0, 0, 0
    while visited < len(waiting):
        begin = visited
        reached = max(reached, begin + 1)
        while visited < reached:
            for other in range(reached, len(waiting)):
                if links[waiting[visited], waiting[other]]:
                    waiting[reached], waiting[other] = waiting[other], waiting[reached]
                    reached += 1
            visited += 1
        largest = max(largest, visited - begin)
    return largest
