"""Critical points: the share of sites at which clusters begin to wind around a large torus."""

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from percolation.errors import ParameterError
from percolation.links import MAX_SITES, Stencil, square_links
from percolation.overlap import reach
from percolation.union_find import Growth, Report, realisations_of

# Probability that a cluster winds around a given axis of a large square torus at the critical
# point, of any lattice with the symmetry of the square (Pinson 1994; the number as in Newman and
# Ziff 2001, table I).
WRAPPING = 0.521058290

SECONDS = 10.0
"""Seconds that a critical point is simulated for unless something else is asked."""

# Realisations, and sites of them, between two looks at the clock. The result depends on the number
# of realisations alone.
_BATCH, _BATCH_SITES = 200, 20_000_000
# Sides of the torus that are used unless one is asked for, and in units of the links' reach.
_SIDE, _SIDE_PER_REACH = 96, 24


@dataclass(frozen=True, kw_only=True)
class CriticalPoint:
    """Estimate of a critical share of sites."""

    value: float
    """Share lambda_c of the sites of an endless lattice."""

    error: float
    """Standard error of `value` over realisations."""

    neighbours: int
    """Links of every site."""

    side: int
    """Sites along each axis of the torus."""

    realisations: int
    """Number of realisations; with them and the seed the estimate can be had again."""


def critical_point(
    radius2: float,
    *,
    side: int | None = None,
    seconds: float | None = None,
    realisations: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    report: Report | None = None,
) -> CriticalPoint:
    """Critical share of sites of a square lattice with links up to a distance.

    The probability that a cluster winds around a given axis of a torus, kept at a share lambda,
    is computed from passes of the engine for every lambda at once (binomial weights), and solved
    for the value that it has at the critical point of every large square torus. On a side of L that
    is off by about `L^(-11/4)` for short links (Newman and Ziff 2001), far below the noise.

    Args:
        radius2: Squared distance up to which two sites of a unit square lattice are linked.
        side: Side L of the torus; by default 96, or 24 times the reach of a link.
        seconds: Go on for about this long; by default 10, if `realisations` is None too.
        realisations: Stop after this many.
        seed: Seed of the realisations.
        workers: Threads; the result does not depend on it. By default as many as cores.
        report: Told how many realisations are done since it was told last.

    Returns:
        The estimate and its standard error, to first order in the noise of the probability.

    Raises:
        ParameterError: `radius2` is below 1 (no site has a neighbour), or another parameter is out
            of its range, or there is no memory.
    """
    if not (math.isfinite(radius2) and radius2 >= 1):
        raise ParameterError(
            f"radius2 is {radius2}, but it must be at least 1, the distance of next sites."
        )
    check_reach(radius2, f"radius2 = {radius2:g}")
    farthest = math.isqrt(math.floor(radius2))
    side = max(_SIDE, _SIDE_PER_REACH * farthest) if side is None else side
    if side <= 2 * farthest:
        raise ParameterError(
            f"side is {side}, but it must be more than {2 * farthest}, twice the reach of a link."
        )
    links = square_links(side, radius2)
    counts = _wrapping_counts(
        links,
        seconds=seconds,
        realisations=realisations,
        seed=seed,
        workers=workers,
        report=report,
    )
    value, error = _solve(counts, links.sites)
    return CriticalPoint(
        value=value,
        error=error,
        neighbours=links.neighbours,
        side=side,
        realisations=len(counts),
    )


def critical_fraction(
    sigma: float,
    threshold: float,
    spacing: float,
    *,
    realisations: int = 400,
    seed: int = 0,
    workers: int | None = None,
) -> CriticalPoint | None:
    """Critical share lambda_c of a lattice of bumps, endless and with the continuum overlap.

    Args:
        sigma: Spread of the bumps in pixels.
        threshold: Overlap above which two bumps are joined.
        spacing: Lattice increment d in pixels, the same on both axes.
        realisations: Passes to estimate it from.
        seed: Seed of the realisations.
        workers: Threads; the result does not depend on it.

    Returns:
        The estimate, or None where a bump overlaps with no other of the lattice.

    Raises:
        ParameterError: A parameter is out of its range, or there is no memory.
    """
    if not (math.isfinite(spacing) and spacing > 0):
        raise ParameterError(f"spacing is {spacing}, but it must be a positive number.")
    radius2 = (reach(sigma, threshold) / spacing) ** 2
    if radius2 < 1:
        return None
    check_reach(radius2, f"sigma = {sigma}, threshold = {threshold} and spacing = {spacing}")
    return critical_point(radius2, realisations=realisations, seed=seed, workers=workers)


def check_reach(radius2: float, source: str) -> None:
    """Refuse links that reach so far that no torus is wide enough for them.

    Raises:
        ParameterError: The default torus would have more sites than can be numbered.
    """
    most = (math.isqrt(MAX_SITES) // _SIDE_PER_REACH) ** 2
    if radius2 > most:
        raise ParameterError(
            f"{source}: links reach {math.sqrt(radius2):.3g} sites, but at most "
            f"{math.sqrt(most):.0f} can be simulated."
        )


def _wrapping_counts(
    links: Stencil,
    *,
    seconds: float | None,
    realisations: int | None,
    seed: int,
    workers: int | None,
    report: Report | None,
) -> NDArray[np.float64]:
    """Counts of sites at which clusters first wind around both axes, shape (realisations, 2)."""
    if realisations is not None and realisations < 2:
        raise ParameterError(f"realisations is {realisations}, but an error needs at least 2.")
    if seconds is not None and not 0 < seconds < math.inf:
        raise ParameterError(f"seconds is {seconds}, but it must be a positive number.")
    if seconds is None:
        seconds = SECONDS if realisations is None else math.inf
    size = min(max(_BATCH_SITES // links.sites, 2), _BATCH)
    most = math.inf if realisations is None else realisations
    batches: list[NDArray[np.float64]] = []
    done, start = 0, time.monotonic()
    while done < most and (done == 0 or time.monotonic() - start < seconds):
        batch = range(done, int(min(done + size, most)))
        batches.append(
            realisations_of(
                links, _wraps, batch, seed=seed, until_wrap=True, workers=workers, report=report
            )
        )
        done = batch.stop
    return np.concatenate(batches)


def _wraps(passed: Growth, _: np.random.Generator) -> NDArray[np.float64]:
    """Counts of sites at which clusters first wind around both axes, shape (2,)."""
    along_x, along_y = passed.wraps
    assert along_x is not None  # a full torus winds around both axes
    assert along_y is not None
    return np.array([along_x, along_y], dtype=np.float64)


def _solve(counts: NDArray[np.float64], sites: int) -> tuple[float, float]:
    """Share at which the mean wrapping probability has its critical value, and its error.

    With `m` sites needed, a lattice kept at a share p wraps with the probability that a binomial
    number is at least m; its derivative by p is n times a binomial probability.
    """

    def excess(share: float) -> float:
        return float(stats.binom.sf(counts - 1, sites, share).mean()) - WRAPPING

    share = float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-12))
    slope = float((sites * stats.binom.pmf(counts - 1, sites - 1, share)).mean())
    each = stats.binom.sf(counts - 1, sites, share).mean(axis=1)  # (realisations,)
    error = float(each.std(ddof=1)) / math.sqrt(len(each)) / slope
    return share, error
