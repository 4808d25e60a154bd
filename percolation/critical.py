"""Critical points: the fraction of sites at which clusters start to wrap around a large torus."""

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

# Probability that a cluster wraps around a given axis of a large square torus at the critical
# point, for any lattice with the symmetry of the square (Pinson 1994; value from Newman and
# Ziff 2001, table I).
WRAPPING = 0.521058290

SECONDS = 10.0
"""Default time to simulate one critical point, in seconds."""

# Maximum number of realisations per batch, and of sites in them. The time limit is checked between
# batches. The result depends only on the number of realisations.
_BATCH, _BATCH_SITES = 200, 20_000_000
# Default side of the torus: `_SIDE`, or `_SIDE_PER_REACH` times the reach of a link if larger.
_SIDE, _SIDE_PER_REACH = 96, 24


@dataclass(frozen=True, kw_only=True)
class CriticalPoint:
    """Estimate of a critical fraction of sites."""

    value: float
    """Critical fraction lambda_c of the sites of an infinite lattice."""

    error: float
    """Standard error of `value` over realisations."""

    neighbours: int
    """Number of links of every site."""

    side: int
    """Sites along each axis of the torus."""

    realisations: int
    """Number of realisations; together with the seed it reproduces the estimate."""


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
    """Estimate the critical fraction of sites of a square lattice with links up to a distance.

    Each pass of the engine gives the probability that a cluster wraps around a given axis of a
    torus, for every lambda at once (binomial weights). At the critical point this probability has
    the same known value on every large square torus. The estimate is the lambda at which the mean
    over passes reaches it. For short links and a torus of side L, the finite-size error is about
    `L^(-11/4)` (Newman and Ziff 2001), far below the noise.

    Args:
        radius2: Squared distance up to which two sites of a unit square lattice are linked.
        side: Side L of the torus, in sites. The default is 96, or 24 times the reach of a link if
            that is larger.
        seconds: Approximate time limit in seconds. The default is 10 if `realisations` is None,
            else no limit.
        realisations: Maximum number of realisations.
        seed: Seed of the realisations.
        workers: Number of threads, by default the number of cores. The result does not depend on
            it.
        report: Called with the number of realisations completed since its previous call.

    Returns:
        The estimate and its standard error, to first order in the noise of the probability.

    Raises:
        ParameterError: `radius2` is below 1 (no site has a neighbour), another parameter is out of
            its range, or memory does not suffice.
    """
    if not (math.isfinite(radius2) and radius2 >= 1):
        raise ParameterError(
            f"radius2 is {radius2}, but it must be at least 1, the distance of nearest neighbours."
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
    """Estimate lambda_c of an infinite lattice of bumps with the continuum overlap.

    Args:
        sigma: Spread of the bumps in pixels.
        threshold: Overlap above which two bumps are linked.
        spacing: Lattice increment d in pixels, the same on both axes.
        realisations: Number of passes.
        seed: Seed of the realisations.
        workers: Number of threads. The result does not depend on it.

    Returns:
        The estimate, or None if no two bumps of the lattice are linked.

    Raises:
        ParameterError: A parameter is out of its range, or memory does not suffice.
    """
    if not (math.isfinite(spacing) and spacing > 0):
        raise ParameterError(f"spacing is {spacing}, but it must be a positive number.")
    radius2 = (reach(sigma, threshold) / spacing) ** 2
    if radius2 < 1:
        return None
    check_reach(radius2, f"sigma = {sigma}, threshold = {threshold} and spacing = {spacing}")
    return critical_point(radius2, realisations=realisations, seed=seed, workers=workers)


def check_reach(radius2: float, source: str) -> None:
    """Check that a torus can be wide enough for links of this reach.

    Args:
        radius2: Squared reach of a link, in lattice increments.
        source: The parameters that determine `radius2`, for the message.

    Raises:
        ParameterError: The default torus would have more than `MAX_SITES` sites.
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
    """Numbers of sites at which clusters first wrap around each axis, shape (realisations, 2)."""
    if realisations is not None and realisations < 2:
        raise ParameterError(
            f"realisations is {realisations}, but a standard error needs at least 2."
        )
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
    """Numbers of sites at which clusters first wrap around each axis, shape (2,)."""
    along_x, along_y = passed.wraps
    assert along_x is not None  # the cluster of all sites wraps around both axes
    assert along_y is not None
    return np.array([along_x, along_y], dtype=np.float64)


def _solve(counts: NDArray[np.float64], sites: int) -> tuple[float, float]:
    """Solve for the fraction at which the mean wrapping probability has its critical value.

    If a realisation wraps from m kept sites on, its wrapping probability at a fraction p is the
    probability that a binomial(n, p) number is at least m. The derivative with respect to p is n
    times a binomial probability.

    Args:
        counts: Numbers of sites at which clusters first wrap, shape (realisations, 2).
        sites: Number of sites n of the torus.

    Returns:
        The fraction and its standard error.
    """

    def excess(share: float) -> float:
        return float(stats.binom.sf(counts - 1, sites, share).mean()) - WRAPPING

    share = float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-12))
    slope = float((sites * stats.binom.pmf(counts - 1, sites - 1, share)).mean())
    each = stats.binom.sf(counts - 1, sites, share).mean(axis=1)  # (realisations,)
    error = float(each.std(ddof=1)) / math.sqrt(len(each)) / slope
    return share, error
