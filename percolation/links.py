"""Links between sites, in the two forms that the engine accepts.

On a lattice with the continuum overlap, the links are the same around every site and form a
`Stencil`. With the pixel overlap a link depends on the sub-pixel positions of both centres, and
arbitrary centres have no regular pattern at all. `Neighbours` lists the links of each site.
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

# Site numbers have 32 bits.
MAX_SITES = np.iinfo(np.int32).max


@dataclass(frozen=True, kw_only=True, eq=False)
class Stencil:
    """Links of a lattice that are the same around every site, with open or periodic edges."""

    shape: tuple[int, int]
    """Sites (n_x, n_y) along both axes; site (i, j) has number `i n_y + j`."""

    half_widths: NDArray[np.int64]
    """Site (i, j) is linked to (i + a, j + b) if `|b| <= half_widths[|a|]`; shape (rows,),
    not increasing."""

    periodic: bool = False
    """Whether both axes are periodic (a torus)."""

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def neighbours(self) -> int:
        """Largest number of links of a site; a site in the middle has it."""
        rows, length = self.shape
        columns = np.minimum(self.half_widths, length // 2) + np.minimum(
            self.half_widths, (length - 1) // 2
        )
        away = np.arange(len(self.half_widths))
        sides = np.where(away == 0, 1, 1 * (away <= rows // 2) + (away <= (rows - 1) // 2))
        return int((sides * (columns + 1)).sum()) - 1

    @cached_property
    def reach(self) -> NDArray[np.int64]:
        """Rows of the stencil as (row, half width), shape (r, 2)."""
        above = np.arange(len(self.half_widths), dtype=np.int64)
        rows = np.concatenate([-above[:0:-1], above])
        return np.stack([rows, self.half_widths[np.abs(rows)]], axis=1)

    @cached_property
    def runs(self) -> NDArray[np.int64]:
        """The stencil split into runs (row, first, last) of mutually linked sites, shape (r, 3).

        Two sites of one row are linked if they are at most `half_widths[0]` apart, so all sites
        of half a stencil row are linked to each other. Joining a site to one kept site of a run
        is therefore enough. Runs act as the cells of a cell list whose cell length is the reach
        of a link.
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
        """Table of the neighbours to join for each pattern of kept sites in the 3 x 3 window.

        Neighbours that are already connected through other kept sites of the window form a group
        and need to be joined only once. This saves more than half of the joins. It does not apply
        to a torus with fewer than four sites on a side, where the window overlaps itself.

        Returns:
            Shape (512, 5), or None if the stencil exceeds the window or the torus is too small.
            The row index is the pattern of kept sites: bit `3 (a + 1) + b + 1` stands for the
            site at (a, b). A row holds the number of groups, then the position of one site of
            each group.
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
    """The concatenated lists. Each link appears twice, once for each of its sites; shape
    (2 m,) for m links."""

    longest: float
    """Length of the longest link in pixels; 0 without links."""

    @property
    def sites(self) -> int:
        """Number of sites."""
        return len(self.starts) - 1

    @property
    def neighbours(self) -> int:
        """Largest number of links of a site."""
        return int(np.diff(self.starts).max(initial=0))


Links = Stencil | Neighbours


def lattice_links(
    size: int, spacing: float | Sequence[float], link: Link, *, periodic: bool = False
) -> Links:
    """Compute the links of `lattice(size, spacing, periodic=periodic)` in the fastest form.

    Args:
        size: Side N of the frame in pixels.
        spacing: Increment d in pixels, or (d_x, d_y).
        link: The rule that links two sites. On a periodic lattice its period is set to N.
        periodic: Whether the lattice is periodic with period N, as for periodic images.

    Returns:
        A `Stencil` for the continuum overlap, else `Neighbours`. An open lattice whose rule has a
        period also gets `Neighbours`, since its links differ at the edges.

    Raises:
        ParameterError: A parameter is out of its range, or memory does not suffice.
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
    limit = radius(link.sigma, link.threshold)  # an upper bound; `exceeds` is the exact test
    rows, columns = rows[rows <= limit], columns[columns <= limit]
    distance = np.hypot(rows[:, None], columns[None, :])
    linked = exceeds(continuum(distance, link.sigma), link.threshold)  # (rows, columns)
    return Stencil(shape=shape, half_widths=_half_widths(linked), periodic=periodic)


def square_links(side: int, radius2: float, *, periodic: bool = True) -> Stencil:
    """Link the sites of a square lattice of increment 1 up to a distance.

    Args:
        side: Sites L along each axis.
        radius2: Squared distance up to which two sites are linked (inclusive).
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
    """List the links between arbitrary centres.

    Args:
        centres: Bump centres (x, y) in pixels, shape (n, 2).
        link: The rule that links two of them.

    Raises:
        ParameterError: `centres` is not of shape (n, 2), or memory does not suffice.
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
    """Check that the engine can run a pass over a lattice.

    Args:
        shape: Sites along both axes.
        source: The parameters that determine the shape; the subject of the message.

    Raises:
        ParameterError: There are more sites than 32-bit numbers or memory allow.
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


# Bytes per site that a pass needs: order twice, tree, offsets on a torus, two results, bits. A
# lattice of short rows needs about 20 more.
SITE_BYTES = 4 + 4 + 4 + 8 + 4 + 8 + 1


def _half_widths(linked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the half width of every row with a link.

    Args:
        linked: Whether the offset (row, column) is a link, shape (rows, columns).
    """
    counts = linked.sum(axis=1, dtype=np.int64)  # the linked columns of a row start at 0
    return np.asarray(counts[counts > 0] - 1)


@lru_cache
def _groups(half_widths: tuple[int, ...]) -> NDArray[np.int8]:
    """Build the table of `Stencil.groups`."""
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
