"""Which sites are linked, in the two forms that the engine walks.

On a lattice with the continuum overlap the links around every site are the same: a `Stencil`. On
pixels a link depends on where in their pixels both centres lie, and among arbitrary centres on
everything: `Neighbours` lists them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from percolation.errors import ParameterError, short
from percolation.lattice import Link, check_centres, increments, lattice, lattice_shape
from percolation.memory import check_memory
from percolation.overlap import continuum, exceeds, radius

# Sites are numbered in 32 bits.
MAX_SITES = np.iinfo(np.int32).max


@dataclass(frozen=True, kw_only=True, eq=False)
class Stencil:
    """Links of a lattice, the same around every site; open at its edges, or a torus."""

    shape: tuple[int, int]
    """Sites (n_x, n_y) along both axes; site (i, j) has number `i n_y + j`."""

    half_widths: NDArray[np.int64]
    """Site (i, j) is linked to (i + a, j + b) where `|b| <= half_widths[|a|]`; shape (rows,),
    not increasing."""

    periodic: bool = False
    """Whether both axes close on themselves."""

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def neighbours(self) -> int:
        """Links of the site that has most: one in the middle."""
        rows, length = self.shape
        columns = np.minimum(self.half_widths, length // 2) + np.minimum(
            self.half_widths, (length - 1) // 2
        )
        away = np.arange(len(self.half_widths))
        sides = np.where(away == 0, 1, 1 * (away <= rows // 2) + (away <= (rows - 1) // 2))
        return int((sides * (columns + 1)).sum()) - 1

    @cached_property
    def reach(self) -> NDArray[np.int64]:
        """Rows of the stencil as the engine takes them, (row, half width), shape (r, 2)."""
        above = np.arange(len(self.half_widths), dtype=np.int64)
        rows = np.concatenate([-above[:0:-1], above])
        return np.stack([rows, self.half_widths[np.abs(rows)]], axis=1)

    @cached_property
    def runs(self) -> NDArray[np.int64]:
        """The stencil cut into runs (row, first, last) of mutually linked sites, shape (r, 3).

        Two sites of one row are linked up to the half width of the stencil's own row, so that
        half a row is such a run: of the kept sites of a run it is enough to meet one. These are
        the cells of mutually linked sites, as long as a link reaches.
        """
        own = int(self.half_widths[0])
        runs = []
        for row, half in self.reach.tolist():
            if row == 0:
                runs += [(0, -half, -1), (0, 1, half)] if half else []
            elif 2 * half <= own:
                runs.append((row, -half, half))
            else:
                runs += [(row, -half, 0), (row, 1, half)]
        return np.array(runs, dtype=np.int64).reshape(-1, 3)

    @cached_property
    def groups(self) -> NDArray[np.int8] | None:
        """For a stencil within the eight sites around: which of them to join, by which are kept.

        Neighbours that hang together through other kept sites among the eight need to be met
        once. That saves more than half of the joins, but holds only where the eight are as far
        apart as on a plane, that is not on a torus of less than four sites a side.

        Returns:
            For each pattern of kept sites, bit `3 (a + 1) + b + 1` standing for the site at
            (a, b): the number of groups, and the place of one site of each. Shape (512, 5), or
            None where the stencil reaches further.
        """
        if len(self.half_widths) > 2 or self.half_widths[0] > 1:
            return None
        if self.periodic and min(self.shape) < 4:
            return None
        return _groups(tuple(self.half_widths.tolist()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """Links as explicit lists: those of site i are `partners[starts[i]:starts[i + 1]]`."""

    starts: NDArray[np.int64]
    """Shape (n + 1,)."""

    partners: NDArray[np.int32]
    """Each link stands in the lists of both its sites; shape (links,)."""

    longest: float
    """Distance of the two linked sites that are farthest apart, in pixels; 0 without links."""

    @property
    def sites(self) -> int:
        """Number of sites."""
        return len(self.starts) - 1

    @property
    def neighbours(self) -> int:
        """Links of the site that has most."""
        return int(np.diff(self.starts).max(initial=0))


Links = Stencil | Neighbours


def lattice_links(
    size: int, spacing: float | Sequence[float], link: Link, *, periodic: bool = False
) -> Links:
    """Links of `lattice(size, spacing, periodic=periodic)`, in the form that is walked fastest.

    Args:
        size: Side N of the frame in pixels.
        spacing: Increment d in pixels, or (d_x, d_y).
        link: The rule that joins two sites. It may have another period than N only where the
            lattice itself is open.
        periodic: Whether the lattice closes on itself, with period N, as those of periodic images.

    Returns:
        A `Stencil` for the continuum overlap (unless the rule's period puts a seam into an open
        lattice), else `Neighbours`.

    Raises:
        ParameterError: A parameter is out of its range, or there is no memory for the lattice.
    """
    shape, steps = lattice_shape(size, spacing, periodic=periodic), increments(spacing)
    if periodic:
        link = replace(link, period=size)
    if link.overlap == "pixel" or (link.period is not None and not periodic):
        return neighbours(lattice(size, spacing, periodic=periodic), link)
    check_sites(shape, f"size = {size} and spacing = {spacing}")
    rows, columns = (
        np.arange(count // 2 + 1 if periodic else count) * step
        for count, step in zip(shape, steps, strict=True)
    )
    limit = radius(link.sigma, link.threshold)  # the exact test follows
    rows, columns = rows[rows <= limit], columns[columns <= limit]
    distance = np.hypot(rows[:, None], columns[None, :])
    linked = exceeds(continuum(distance, link.sigma), link.threshold)  # (rows, columns)
    return Stencil(shape=shape, half_widths=_half_widths(linked), periodic=periodic)


def square_links(side: int, radius2: float, *, periodic: bool = True) -> Stencil:
    """Links of a square lattice of increment 1, between sites up to a distance.

    Args:
        side: Sites L along each axis.
        radius2: Squared distance up to which two sites are linked, that distance included.
        periodic: Whether the lattice is a torus.

    Raises:
        ParameterError: `side` is below 1 or too large for memory, or `radius2` is not positive.
    """
    if not 1 <= side <= MAX_SITES:
        raise ParameterError(
            f"side is {short(side)}, but a lattice must have 1 to {MAX_SITES:,} sites on a side."
        )
    if not (math.isfinite(radius2) and radius2 > 0):
        raise ParameterError(f"radius2 is {radius2}, but it must be a positive number.")
    check_sites((side, side), f"side = {side}")
    count = side // 2 + 1 if periodic else side
    steps = np.arange(min(count, math.isqrt(math.floor(radius2)) + 1))
    linked = steps[:, None] ** 2 + steps[None, :] ** 2 <= radius2
    return Stencil(shape=(side, side), half_widths=_half_widths(linked), periodic=periodic)


def neighbours(centres: ArrayLike, link: Link) -> Neighbours:
    """Links among arbitrary centres, as lists.

    Args:
        centres: Bump centres (x, y) in pixels, shape (n, 2).
        link: The rule that joins two of them.

    Raises:
        ParameterError: `centres` is not of shape (n, 2), or there is no memory for the pairs.
    """
    points = check_centres(centres)
    pairs = link.pairs(points)
    sites = np.concatenate([pairs[:, 0], pairs[:, 1]])
    partners = np.concatenate([pairs[:, 1], pairs[:, 0]])
    counts = np.bincount(sites, minlength=len(points))
    return Neighbours(
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        partners=partners[np.argsort(sites, kind="stable")].astype(np.int32),
        longest=float(link.distance(points[pairs[:, 0]], points[pairs[:, 1]]).max(initial=0)),
    )


def check_sites(shape: tuple[int, int], source: str) -> None:
    """Refuse a lattice that a pass of the engine has no room for.

    Raises:
        ParameterError: There are too many sites for their numbers, or for memory.
    """
    sites = shape[0] * shape[1]
    remedy = "take a smaller lattice"
    what = f"{source} asks for a lattice of {short(sites)} sites, which"
    check_memory(sites * SITE_BYTES, what, remedy)
    if sites > MAX_SITES:
        raise ParameterError(
            f"{what} would take {sites * SITE_BYTES / 1e9:,.1f} GB of memory, and at most "
            f"{MAX_SITES:,} sites can be numbered: {remedy}."
        )


# Memory that a pass takes for a site, in bytes: order twice, tree, ways on a torus, two results,
# bits. A lattice of narrow rows takes some 20 more.
SITE_BYTES = 4 + 4 + 4 + 8 + 4 + 8 + 1


def _half_widths(linked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Half width of every row that has a link, from which offsets (row, column) are linked."""
    counts = linked.sum(axis=1, dtype=np.int64)  # the linked columns of a row begin at 0
    return np.asarray(counts[counts > 0] - 1)


@lru_cache
def _groups(half_widths: tuple[int, ...]) -> NDArray[np.int8]:
    """The table of `Stencil.groups`."""
    center = 4
    window: nx.Graph[int] = nx.empty_graph(9)
    for one, other in combinations(range(9), 2):
        a, b = abs(one // 3 - other // 3), abs(one % 3 - other % 3)
        if a < len(half_widths) and b <= half_widths[a]:
            window.add_edge(one, other)
    table = np.zeros((512, 5), dtype=np.int8)
    for pattern in range(512):
        kept = [place for place in range(9) if pattern >> place & 1 and place != center]
        linked = set(window[center])
        groups = [linked & group for group in nx.connected_components(window.subgraph(kept))]
        places = [min(group) for group in groups if group]
        table[pattern, : 1 + len(places)] = [len(places), *places]
    return table
