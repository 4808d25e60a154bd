"""Lattices of bump centres, and the rule that links two bumps.

Two bumps are linked if their overlap exceeds a threshold ([F] Figs 6, 13, 14).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from percolation.errors import ParameterError, short
from percolation.memory import check_memory
from percolation.overlap import (
    check_sigma,
    check_size,
    check_threshold,
    continuum,
    exceeds,
    log_pixel_sum,
    pixel,
    radius,
)

Overlap = Literal["continuum", "pixel"]

# Bytes per candidate pair while its overlap is computed (measured).
PAIR_BYTES = 190
# Largest number of steps along an axis that floats count exactly.
_MAX_SIZE = 10**15
# Bytes per centre while a lattice is built: three arrays of two floats.
_CENTRE_BYTES = 48

# Tolerance of the search radius for rounding; every candidate pair is then tested exactly.
_SLACK = 1 + 1e-9


@dataclass(frozen=True, kw_only=True)
class Link:
    """The rule that links two bumps: their overlap strictly exceeds a threshold.

    Raises:
        ParameterError: A field is out of its range, `size` is missing for the pixel overlap, or
            `period` differs from `size` for the pixel overlap.
    """

    sigma: float
    """Spread of the bumps in pixels, positive."""

    threshold: float
    """Overlap that a linked pair must exceed, strictly between 0 and 1."""

    overlap: Overlap = "continuum"
    """Definition of the overlap; see `percolation.overlap`."""

    size: int | None = None
    """Side N of the frame in pixels; required for the pixel overlap only."""

    period: float | tuple[float, float] | None = None
    """Period of a periodic canvas in pixels, one number for both axes or one for each; None for
    an open canvas. For the pixel overlap it must be N. Distances are to the nearest periodic copy
    (our definition)."""

    def __post_init__(self) -> None:
        check_sigma(self.sigma)
        check_threshold(self.threshold)
        if self.overlap not in ("continuum", "pixel"):
            raise ParameterError(
                f"overlap is {self.overlap!r}, but it must be 'continuum' or 'pixel'."
            )
        if self.overlap == "pixel":
            if self.size is None:
                raise ParameterError(
                    "size is None, but the pixel overlap needs the frame's side N."
                )
            check_size(self.size)
            if self.period not in (None, self.size):
                raise ParameterError(
                    f"period is {self.period}, but for the pixel overlap it must be None or the "
                    f"size, {self.size}."
                )
        if self.period is not None:
            box = np.atleast_1d(self.period)
            if box.shape not in ((1,), (2,)) or not (np.isfinite(box).all() and (box > 0).all()):
                raise ParameterError(
                    f"period is {self.period}, but it must be one or two positive numbers of "
                    "pixels."
                )

    def pairs(self, centres: ArrayLike) -> NDArray[np.int64]:
        """Find all linked pairs with a k-d tree.

        Args:
            centres: Bump centres (x, y) in pixels, shape (n, 2).

        Returns:
            Index pairs (i, j) with i < j, each once, shape (m, 2).

        Raises:
            ParameterError: `centres` is not of shape (n, 2), or memory does not suffice.
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
            periodic = self.period is not None
            strength = pixel(a, b, self.size, self.sigma, periodic=periodic)
        else:
            strength = continuum(self.distance(a, b), self.sigma)
        return near[exceeds(strength, self.threshold)]

    def _tree(self, points: NDArray[np.float64]) -> cKDTree:
        if self.period is None:
            return cKDTree(points)
        wrapped = np.mod(points, self.period)
        wrapped[wrapped >= self.period] = 0.0  # the remainder of -1e-17 rounds up to the period
        # scipy-stubs declares boxsize as None only; SciPy takes numbers too.
        return cKDTree(wrapped, boxsize=self.period)  # type: ignore[arg-type]

    def distance(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distances of paired centres in pixels, to the nearest copy if periodic.

        Args:
            a: Centres (x, y) in pixels, shape (n, 2).
            b: Centres of the partners in pixels, shape (n, 2).

        Returns:
            Distances in pixels, shape (n,).
        """
        difference = a - b
        if self.period is not None:
            box = np.asarray(self.period, dtype=np.float64)
            difference = difference - box * np.round(difference / box)
        return np.hypot(difference[:, 0], difference[:, 1])

    def _reach(self, points: NDArray[np.float64]) -> float:
        """Return a distance in pixels beyond which no pair of `points` can be linked.

        The pixel overlap is the continuum overlap times one factor per axis,
        `sqrt(S(middle) / sqrt(S(u) S(v)))`, with S of `log_pixel_sum`. The sum of a Gaussian over
        the integers is at most its integral plus its peak, so S(middle) <= 1 + sqrt(2 pi) sigma.
        The smallest S of the given centres bounds the denominator. On periodic images S(middle)
        is replaced by a sum of N terms, each at most 1 (parallelogram law).
        """
        reach = radius(self.sigma, self.threshold)
        if self.overlap == "pixel":
            assert self.size is not None
            periodic = self.period is not None
            sums = log_pixel_sum(points, self.size, self.sigma, periodic=periodic)
            most = self.size if periodic else 1 + math.sqrt(2 * math.pi) * self.sigma
            gain = (math.log(most) - sums.min(axis=0)).sum() / 2  # of two axes
            reach = 4 * self.sigma * math.sqrt(float(gain) - math.log(self.threshold))
        return reach * _SLACK

    def _check_room(self, tree: cKDTree, reach: float) -> None:
        most = tree.n * (tree.n - 1) // 2
        if most * PAIR_BYTES < 100e6:  # too little memory to be worth counting the pairs
            return
        pairs = (int(tree.count_neighbors(tree, reach)) - tree.n) // 2
        check_memory(
            pairs * PAIR_BYTES,
            f"sigma = {self.sigma} and threshold = {self.threshold} link {pairs:,} pairs of "
            f"{tree.n:,} sites, which",
            "take a larger threshold or spacing, or a smaller sigma",
        )


def lattice(
    size: int, spacing: float | Sequence[float], *, periodic: bool = False
) -> NDArray[np.float64]:
    """Build a lattice of centres from 1 to N in steps of the spacing, along x and y.

    Args:
        size: Side N of the frame in pixels.
        spacing: Increment d in pixels, or the two increments (d_x, d_y).
        periodic: Whether the frame is periodic, with period N. The last centre of an axis is then
            N + 1 - d.

    Returns:
        Centres (x, y) in pixels, shape (n_x * n_y, 2), with y running fastest. In an open frame
        the last centre of an axis is N if d divides N - 1, else the last step below N.

    Raises:
        ParameterError: `size` is below 1, `spacing` is not one or two positive numbers (that
            divide N in a periodic frame), or memory does not suffice.
    """
    counts, steps = lattice_shape(size, spacing, periodic=periodic), increments(spacing)
    sites = counts[0] * counts[1]
    check_memory(
        sites * _CENTRE_BYTES,
        f"size = {size} and spacing = {spacing} asks for a lattice of {sites:,} sites, which",
        "take a smaller size or a wider spacing",
    )
    axes = [1 + step * np.arange(count) for count, step in zip(counts, steps, strict=True)]
    x, y = np.meshgrid(*axes, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def lattice_shape(
    size: int, spacing: float | Sequence[float], *, periodic: bool = False
) -> tuple[int, int]:
    """Return the numbers of centres (n_x, n_y) along both axes of `lattice`.

    Args:
        size: Side N of the frame in pixels.
        spacing: Increment d in pixels, or the two increments (d_x, d_y).
        periodic: Whether the frame is periodic, with period N.

    Raises:
        ParameterError: `size` is below 1, `spacing` is not one or two positive numbers, or
            `spacing` does not divide N in a periodic frame.
    """
    check_size(size)
    if size > _MAX_SIZE:
        raise ParameterError(f"size is {short(size)}, but it must be at most {_MAX_SIZE:,} pixels.")
    steps = [(size - 1) / step for step in increments(spacing)]
    if max(steps) > _MAX_SIZE:
        raise ParameterError(f"spacing is {spacing}, but that is too small to count the steps.")
    if periodic:
        n_x, n_y = (round(size / step) for step in increments(spacing))
        for count, step in zip((n_x, n_y), increments(spacing), strict=True):
            if count < 1 or abs(count * step / size - 1) > 1e-9:
                raise ParameterError(
                    f"spacing is {spacing}, but it must divide size = {size}, the period."
                )
        return n_x, n_y
    n_x, n_y = (math.floor(step + 1e-9) + 1 for step in steps)  # 31 / 0.1 is 309.99999999999994
    return n_x, n_y


def increments(spacing: float | Sequence[float]) -> tuple[float, float]:
    """Return the two increments (d_x, d_y) in pixels.

    Raises:
        ParameterError: `spacing` is not one or two positive numbers.
    """
    steps = np.atleast_1d(np.asarray(spacing, dtype=np.float64))
    if steps.shape not in ((1,), (2,)) or not (np.isfinite(steps).all() and (steps > 0).all()):
        raise ParameterError(f"spacing is {spacing}, but it must be one or two positive numbers.")
    return float(steps[0]), float(steps[-1])


def check_centres(centres: ArrayLike) -> NDArray[np.float64]:
    """Convert centres to floats of shape (n, 2).

    Raises:
        ParameterError: The shape is not (n, 2), or a coordinate is not finite.
    """
    points = np.asarray(centres, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ParameterError(
            f"centres has shape {points.shape}, but it must hold finite pairs (x, y): (n, 2)."
        )
    return points
