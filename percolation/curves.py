"""Mass ratio and mean cluster size against lambda ([F] Figs 6, 13, 14)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from percolation.errors import ParameterError
from percolation.links import Links
from percolation.memory import check_memory
from percolation.union_find import Growth, Report, realisations_of, standard_error

Occupation = Literal["exact", "probability", "smoothed"]

# Binomial weights beyond this many standard deviations are below 1e-30.
_TAIL = 12
# Below this fraction no site is ever kept, and SciPy's binomial distribution overflows.
_NONE = 1e-100


@dataclass(frozen=True, kw_only=True)
class MassRatio:
    """Cluster sizes against lambda, averaged over realisations; all arrays of shape (lambdas,).

    Standard errors are those of the mean over realisations. They are NaN for one realisation.
    """

    fraction: NDArray[np.float64]
    """Fraction lambda of the lattice that is kept, as given by the caller."""

    sites_kept: NDArray[np.float64]
    """Number of kept sites: `floor(lambda n + 1/2)` for `exact` occupation, else the mean
    `lambda n`."""

    mass_ratio_kept: NDArray[np.float64]
    """Size of the largest cluster over the number of kept sites; 0 if no site is kept (our
    definition)."""

    kept_error: NDArray[np.float64]
    """Standard error of `mass_ratio_kept`."""

    mass_ratio_all: NDArray[np.float64]
    """Size of the largest cluster over the number of all sites of the lattice."""

    all_error: NDArray[np.float64]
    """Standard error of `mass_ratio_all`."""

    mean_size: NDArray[np.float64]
    """Mean cluster size (susceptibility): sum of the squared sizes of all clusters except the
    largest, over the number of kept sites; 0 if no site is kept (our definition). It peaks at
    lambda_c."""

    size_error: NDArray[np.float64]
    """Standard error of `mean_size`."""


def mass_ratio(
    links: Links,
    fractions: Sequence[float],
    *,
    occupation: Occupation = "exact",
    realisations: int = 20,
    seed: int = 0,
    workers: int | None = None,
    report: Report | None = None,
) -> MassRatio:
    """Compute the largest-cluster mass ratio of a randomly thinned lattice against lambda.

    Each realisation draws one random order of all sites. The sites kept at a smaller lambda are
    therefore a subset of those kept at a larger one.

    Args:
        links: Links between the sites.
        fractions: Fractions lambda of the sites to keep, each in [0, 1].
        occupation: `exact` keeps `floor(lambda n + 1/2)` sites. `probability` keeps each site with
            probability lambda. `smoothed` is the expectation of `probability` over the number of
            kept sites for a given order of the sites. It is computed from the whole pass
            (canonical average of Newman and Ziff 2001, eq 2).
        realisations: Number of random orders to average over.
        seed: Seed of the random orders. Realisation i does not depend on their number.
        workers: Number of threads, by default the number of cores. The result does not depend on
            it.
        report: Called with the number of realisations completed since its previous call.

    Returns:
        Means over realisations and their standard errors.

    Raises:
        ParameterError: A parameter is out of its range, or memory does not suffice.
    """
    shares = np.array(fractions, dtype=np.float64)
    if not ((shares >= 0) & (shares <= 1)).all():
        wrong = shares[~((shares >= 0) & (shares <= 1))][0]
        raise ParameterError(f"lambda is {wrong}, but it must lie in [0, 1].")
    if realisations < 1:
        raise ParameterError(f"realisations is {realisations}, but it must be at least 1.")
    n = links.sites
    check_memory(
        2 * 3 * 8 * realisations * len(shares),
        f"{realisations:,} realisations of {len(shares)} lambdas",
        "take fewer",
    )
    values = realisations_of(
        links,
        _READERS[occupation](shares, n),
        range(realisations),
        seed=seed,
        workers=workers,
        report=report,
    )  # (realisations, 3, lambdas)
    mean, error = values.mean(axis=0), standard_error(values)
    return MassRatio(
        fraction=shares,
        sites_kept=_rounded(shares, n).astype(np.float64) if occupation == "exact" else shares * n,
        mass_ratio_kept=mean[0],
        kept_error=error[0],
        mass_ratio_all=mean[1],
        all_error=error[1],
        mean_size=mean[2],
        size_error=error[2],
    )


def even_fractions(sites: int, points: int) -> list[float]:
    """Return logarithmically spaced fractions lambda for a curve, from two sites to all.

    One site is left out: it always forms a cluster with a meaningless mass ratio of 1.

    Args:
        sites: Number of sites n of the lattice.
        points: Maximum number of fractions. Fractions that round to the same number of sites are
            merged.
    """
    kept = np.unique(np.round(np.geomspace(min(2, sites), sites, points)))
    return [float(count) / sites for count in kept]


class _Reader(Protocol):
    """Computes both mass ratios and the mean cluster size from a pass, shape (3, lambdas)."""

    def __call__(
        self, passed: Growth, generator: np.random.Generator, /
    ) -> NDArray[np.float64]: ...


def _at(
    largest: NDArray[np.int32],
    second_moment: NDArray[np.int64],
    kept: NDArray[np.int64],
    sites: int,
) -> NDArray[np.float64]:
    """Compute the three observables for numbers of kept sites of at least 1, shape (3, counts)."""
    size = largest.astype(np.float64)
    return np.stack([size / kept, size / sites, (second_moment - size**2) / kept])


def _read(passed: Growth, kept: NDArray[np.int64], sites: int) -> NDArray[np.float64]:
    """Compute the three observables for numbers of kept sites; 0 where no site is kept."""
    some = np.maximum(kept, 1)
    values = _at(passed.largest[some - 1], passed.second_moment[some - 1], some, sites)
    values[:, kept == 0] = 0
    return values


def _rounded(shares: NDArray[np.float64], sites: int) -> NDArray[np.int64]:
    """Return the numbers of kept sites, with halves rounded up as in the data sets."""
    return np.floor(shares * sites + 0.5).astype(np.int64)


def _exact(shares: NDArray[np.float64], sites: int) -> _Reader:
    kept = _rounded(shares, sites)
    return lambda passed, _: _read(passed, kept, sites)


def _probability(shares: NDArray[np.float64], sites: int) -> _Reader:
    """Draw binomial numbers of kept sites jointly, so that they do not decrease with lambda."""
    ascending = np.argsort(shares, kind="stable")
    below = np.concatenate([[0.0], shares[ascending][:-1]])
    added = (shares[ascending] - below) / np.maximum(1 - below, np.finfo(float).tiny)

    def read(passed: Growth, generator: np.random.Generator) -> NDArray[np.float64]:
        kept = np.empty(len(shares), dtype=np.int64)
        present = 0
        for index, share in zip(ascending, added, strict=True):
            present += generator.binomial(sites - present, min(share, 1.0))
            kept[index] = present
        return _read(passed, kept, sites)

    return read


def _smoothed(shares: NDArray[np.float64], sites: int) -> _Reader:
    """Average with binomial weights over the relevant numbers of sites; no site contributes 0."""
    windows = []
    for asked in shares.tolist():
        share = asked if asked > _NONE else 0.0
        spread = _TAIL * (np.sqrt(sites * share * (1 - share)) + 1)
        low = min(max(1, int(share * sites - spread)), sites)
        counts = np.arange(low, min(sites, int(share * sites + spread) + 1) + 1)
        windows.append((counts, stats.binom.pmf(counts, sites, share)))

    def read(passed: Growth, _: np.random.Generator) -> NDArray[np.float64]:
        columns = []
        for counts, weights in windows:
            window = slice(counts[0] - 1, counts[-1])  # no copy
            seen = _at(passed.largest[window], passed.second_moment[window], counts, sites)
            columns.append(seen @ weights)
        return np.stack(columns, axis=1)

    return read


_READERS = {"exact": _exact, "probability": _probability, "smoothed": _smoothed}
