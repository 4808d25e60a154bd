"""Number of bumps needed to connect a data set, as predicted by percolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from percolation.errors import ParameterError
from percolation.lattice import Link
from percolation.links import Links, lattice_links
from percolation.union_find import Growth, realisations_of, standard_error


@dataclass(frozen=True, kw_only=True)
class CriticalCount:
    """Number of kept sites at which the largest cluster permanently reaches a share of them."""

    value: float | None
    """Mean over realisations; None if even the whole lattice is below the level."""

    error: float | None
    """Standard error of `value` over realisations; None for one realisation or no value."""

    sites: int
    """Number of sites of the whole lattice."""

    counts: NDArray[np.int64]
    """Count of every realisation, shape (realisations,); shape (0,) if `value` is None."""


def critical_count(
    links: Links, *, level: float = 0.6, realisations: int = 50, seed: int = 0
) -> CriticalCount:
    """Find the number of sites at which the largest cluster permanently reaches a share of them.

    A single site is a cluster, so the mass ratio (over kept sites) starts at 1. It falls while
    unconnected sites are added and rises again once they connect. The crossing of a realisation is
    therefore the smallest count of at least 2 such that the ratio is not below the level at this
    count or any larger one (our definition). A count of 2 means that the ratio never fell below the
    level: the bumps overlap almost everywhere in the frame, and percolation sets no threshold.

    Args:
        links: Links between the sites.
        level: Share of the kept sites in the largest cluster, in (0, 1].
        realisations: Number of random orders to average over.
        seed: Seed of the random orders.

    Returns:
        Mean and standard error over realisations; see `CriticalCount`.

    Raises:
        ParameterError: `level` is outside (0, 1], there are fewer than 2 sites, or another
            parameter is out of its range.
    """
    n = links.sites
    if not 0 < level <= 1:
        raise ParameterError(f"level is {level}, but it must lie in (0, 1].")
    if n < 2:
        raise ParameterError(f"The lattice has {n} site, but a crossing needs at least 2.")
    present = np.arange(1, n + 1)

    def last_below(passed: Growth, _: np.random.Generator) -> NDArray[np.float64]:
        below = np.flatnonzero(passed.largest / present < level)
        return np.array(below[-1] + 1 if below.size else 0, dtype=np.float64)

    counts = realisations_of(links, last_below, range(realisations), seed=seed).astype(np.int64)
    if counts[0] == n:  # the whole lattice is the same in every realisation
        return CriticalCount(value=None, error=None, sites=n, counts=np.array([], np.int64))
    counts = np.maximum(counts + 1, 2)
    error = float(standard_error(counts.astype(np.float64)))
    return CriticalCount(
        value=float(np.mean(counts)),
        error=None if np.isnan(error) else error,
        sites=n,
        counts=counts,
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
    """Predict how many bumps a data set needs to be connected.

    The prediction is the `critical_count` of the lattice of bump centres in an N x N frame, with
    the continuum overlap.

    Args:
        size: Side N of the frame in pixels.
        spacing: Lattice increment d in pixels, or (d_x, d_y).
        sigma: Spread of the bumps in pixels.
        threshold: Overlap above which two bumps are linked.
        level: Share of the kept bumps that the largest cluster must hold.
        realisations: Number of random orders to average over.
        seed: Seed of the random orders.

    Returns:
        Mean and standard error over realisations; see `CriticalCount`.

    Raises:
        ParameterError: A parameter is out of its range.
    """
    links = lattice_links(size, spacing, Link(sigma=sigma, threshold=threshold))
    return critical_count(links, level=level, realisations=realisations, seed=seed)
