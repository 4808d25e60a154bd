"""Lattices of bump centres, and which of the bumps are joined.

Nodes are bump centres; an edge joins two bumps whose overlap exceeds a threshold
([F] Figs 6, 13, 14).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from percolation.overlap import (
    check_sigma,
    check_size,
    check_threshold,
    continuum,
    log_pixel_sum,
    pixel,
    radius,
)

Overlap = Literal["continuum", "pixel"]

# Pairs held at once: 20 million take 320 MB as indices, and several times that as a graph.
PAIR_LIMIT = 20_000_000

# Room for rounding when a search radius is computed; the exact test follows on every pair.
_SLACK = 1 + 1e-9


@dataclass(frozen=True, kw_only=True)
class Link:
    """The rule that joins two bumps: their overlap strictly exceeds a threshold.

    Raises:
        ValueError: A field is out of its range, `size` is missing for the pixel overlap, or
            `period` is given with it.
    """

    sigma: float
    """Spread of the bumps in pixels, positive."""

    threshold: float
    """Overlap that must be exceeded, strictly between 0 and 1."""

    overlap: Overlap = "continuum"
    """How overlap is measured: see `percolation.overlap`."""

    size: int | None = None
    """Side N of the frame in pixels; only the pixel overlap needs it."""

    period: float | None = None
    """Circumference of both axes in pixels if the canvas closes on itself, else None. Continuum
    only: the nearest copy of the partner is the one that counts (our definition)."""

    def __post_init__(self) -> None:
        check_sigma(self.sigma)
        check_threshold(self.threshold)
        if self.overlap not in ("continuum", "pixel"):
            raise ValueError(f"overlap is {self.overlap!r}, but it must be 'continuum' or 'pixel'.")
        if self.overlap == "pixel":
            if self.size is None:
                raise ValueError("size is None, but the pixel overlap needs the frame's side N.")
            check_size(self.size)
            if self.period is not None:
                raise ValueError(
                    f"period is {self.period}, but it must be None for the pixel overlap."
                )
        if self.period is not None and not (math.isfinite(self.period) and self.period > 0):
            raise ValueError(
                f"period is {self.period}, but it must be a positive number of pixels."
            )

    def pairs(self, centres: ArrayLike) -> NDArray[np.int64]:
        """All joined pairs, found with a k-d tree.

        Args:
            centres: Bump centres (x, y) in pixels, shape (n, 2).

        Returns:
            Index pairs (i, j) with i < j, each once, shape (m, 2).

        Raises:
            ValueError: `centres` is not of shape (n, 2), or more than `PAIR_LIMIT` pairs are near
                enough to be joined.
        """
        points = check_centres(centres)
        if len(points) < 2:
            return np.empty((0, 2), dtype=np.int64)
        tree = self._tree(points)
        reach = self._reach(points)
        self._check_room(tree, reach)
        near = tree.query_pairs(reach, output_type="ndarray").astype(np.int64)  # (m', 2)
        a, b = points[near[:, 0]], points[near[:, 1]]
        if self.overlap == "pixel":
            assert self.size is not None
            strength = pixel(a, b, self.size, self.sigma)
        else:
            strength = continuum(np.hypot(*self._separation(a - b).T), self.sigma)
        return near[strength > self.threshold]

    def reaches_all(self, sites: ArrayLike, centres: ArrayLike) -> bool:
        """Whether every one of `centres` is joined to, or is, one of `sites`.

        Continuum only: there the nearest site is the one that overlaps most.

        Args:
            sites: Bump centres in pixels, shape (k, 2).
            centres: Bump centres in pixels, shape (n, 2).

        Raises:
            ValueError: The rule measures overlap on pixels, or a shape is wrong.
        """
        if self.overlap != "continuum":
            raise ValueError(
                f"overlap is {self.overlap!r}, but reaches_all is defined for 'continuum' only."
            )
        distance, _ = self._tree(check_centres(sites)).query(self._wrapped(check_centres(centres)))
        return bool(np.all(continuum(distance, self.sigma) > self.threshold))

    def _wrapped(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.period is None:
            return points
        wrapped = np.mod(points, self.period)
        wrapped[wrapped >= self.period] = 0.0  # the remainder of -1e-17 rounds up to the period
        return wrapped

    def _tree(self, points: NDArray[np.float64]) -> cKDTree:
        # scipy-stubs declares boxsize as None only; SciPy takes numbers too.
        return cKDTree(self._wrapped(points), boxsize=self.period)  # type: ignore[arg-type]

    def _separation(self, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """Difference of two centres, to the nearest copy on a periodic canvas."""
        if self.period is None:
            return difference
        return difference - self.period * np.round(difference / self.period)

    def _reach(self, points: NDArray[np.float64]) -> float:
        """Distance in pixels beyond which no pair of `points` can be joined.

        On pixels the overlap is the continuum's times, for each axis,
        `sqrt(S(middle) / sqrt(S(u) S(v)))`. A sum over integers of a Gaussian is at most its
        integral plus its peak, so S(middle) <= 1 + sqrt(2 pi) sigma; the smallest S of the given
        centres bounds the denominator.
        """
        reach = radius(self.sigma, self.threshold)
        if self.overlap == "pixel":
            assert self.size is not None
            smallest = log_pixel_sum(points, self.size, self.sigma).min(axis=0)  # (2,)
            gain = (np.log1p(math.sqrt(2 * math.pi) * self.sigma) - smallest).sum() / 2
            reach = 4 * self.sigma * math.sqrt(float(gain) - math.log(self.threshold))
        return reach * _SLACK

    def _check_room(self, tree: cKDTree, reach: float) -> None:
        if tree.n * (tree.n - 1) // 2 <= PAIR_LIMIT:
            return
        pairs = (int(tree.count_neighbors(tree, reach)) - tree.n) // 2
        if pairs > PAIR_LIMIT:
            raise ValueError(
                f"sigma = {self.sigma} and threshold = {self.threshold} put {pairs:,} pairs of "
                f"{tree.n:,} centres within reach, but at most {PAIR_LIMIT:,} fit: take a larger "
                "threshold, a wider lattice spacing or a smaller sigma."
            )


def lattice(size: int, spacing: float | Sequence[float]) -> NDArray[np.float64]:
    """Centres from 1 to N in steps of the spacing, in x and in y.

    Args:
        size: Side N of the frame in pixels.
        spacing: Increment d in pixels, or the two increments (d_x, d_y).

    Returns:
        Centres (x, y) in pixels, shape (n_x * n_y, 2), with y running fastest. The last centre
        of an axis is N where d divides N - 1, else the last step that stays below N.

    Raises:
        ValueError: `size` is below 1, or `spacing` is not one or two positive numbers.
    """
    check_size(size)
    steps = np.atleast_1d(np.asarray(spacing, dtype=np.float64))
    if steps.shape not in ((1,), (2,)) or not (np.isfinite(steps).all() and (steps > 0).all()):
        raise ValueError(f"spacing is {spacing}, but it must be one or two positive numbers.")
    axes = []
    for step in np.broadcast_to(steps, (2,)):
        count = math.floor((size - 1) / step + 1e-9) + 1  # 31 / 0.1 is 309.99999999999994
        axes.append(1 + step * np.arange(count))
    x, y = np.meshgrid(*axes, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def graph(
    centres: ArrayLike,
    *,
    sigma: float,
    threshold: float,
    overlap: Overlap = "continuum",
    size: int | None = None,
    period: float | None = None,
) -> "nx.Graph[int]":
    """The graph of joined bumps: one node per centre, an edge where the overlap is large enough.

    Args:
        centres: Bump centres (x, y) in pixels, shape (n, 2).
        sigma: Spread of the bumps in pixels.
        threshold: An edge needs an overlap strictly above it.
        overlap: How overlap is measured, `continuum` or `pixel`.
        size: Side N of the frame in pixels, for the pixel overlap.
        period: Circumference of both axes in pixels, for a canvas that closes on itself.

    Returns:
        A graph on the nodes 0 to n - 1, in the order of `centres`; the node attribute
        `position` holds (x, y).

    Raises:
        ValueError: A parameter is out of its range (see `Link`), or too many pairs are near.

    Example:
        >>> graph([(1, 1), (2, 1), (9, 9)], sigma=1, threshold=0.5).number_of_edges()
        1
    """
    link = Link(sigma=sigma, threshold=threshold, overlap=overlap, size=size, period=period)
    points = check_centres(centres)
    result: nx.Graph[int] = nx.Graph()
    for node, (x, y) in enumerate(points.tolist()):
        result.add_node(node, position=(x, y))
    result.add_edges_from(map(tuple, link.pairs(points).tolist()))
    return result


def check_centres(centres: ArrayLike) -> NDArray[np.float64]:
    """Centres as floats of shape (n, 2).

    Raises:
        ValueError: The shape is another one, or a coordinate is not finite.
    """
    points = np.asarray(centres, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(
            f"centres has shape {points.shape}, but it must hold finite pairs (x, y): (n, 2)."
        )
    return points
