"""Where a theory expects accuracy to cross a level, before any run has been trained.

`percolation`: the number of bumps at which the largest cluster of overlapping bumps holds the level
([F] Figs. 5, 6), at an overlap of 0.5. `nearest`: the number of examples at which drawing the
example nearest to the label has this accuracy (`analysis.measures.null_models`), as the expectation
over all data sets of that size.
"""

import math
from collections import Counter
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from factorlab import families
from factorlab.config import RunSettings
from factorlab.data import lattice
from factorlab.data.dataset import build, evaluation_labels
from factorlab.evaluation.accuracy import TOLERANCE, expected_right
from percolation import predict_samples

Floats = NDArray[np.float64]
Theory = Literal["percolation", "nearest"]

OVERLAP = 0.5
"""Overlap from which two bumps are linked; close to what small images need (our choice)."""

_ROUNDING = 1e-9  # sums of lattice increments differ from whole pixels in later digits
_REALISATIONS = 100
_COUNTS = 400  # numbers of examples between 1 and the whole lattice


def refusal(run: RunSettings, theory: Theory) -> str | None:
    """Return why a theory does not apply to a run, or None if it does."""
    if run.data.family == families.STRIPES:
        return "needs 2D examples"
    if theory == "nearest":
        return None
    if run.data.family.partition("+")[0] != "bump" or isinstance(run.data.sigma, tuple):
        return "needs round bumps"
    if run.data.periodic or run.data.held_out is not None:
        return "needs a plain frame without a held-out region"
    return None


@lru_cache(maxsize=256)
def first_guess(run: RunSettings, theory: Theory, level: float) -> float | None:
    """Return the number of 2D examples at which a theory expects the level.

    Args:
        run: Settings of a run to which the theory applies (`refusal`); its subsample is not used.
        theory: The theory.
        level: Accuracy, strictly between 0 and 1.

    Returns:
        The number; None if the whole lattice does not reach the level.

    Raises:
        UserError: The settings make no data set.
    """
    if theory == "percolation":
        assert isinstance(run.data.sigma, float)
        return predict_samples(
            run.data.size,
            run.data.spacings,
            sigma=run.data.sigma,
            threshold=OVERLAP,
            level=level,
            realisations=_REALISATIONS,
        ).value
    counts, accuracy = nearest_curve(run)
    if accuracy[-1] < level:
        return None
    return float(np.exp(np.interp(level, np.maximum.accumulate(accuracy), np.log(counts))))


def nearest_curve(run: RunSettings) -> tuple[Floats, Floats]:
    """Return the expected accuracy of drawing the nearest example, by the number of examples.

    With n of S sites kept, the k-th nearest site of a label is the nearest kept one with the
    probability ``C(S - k, n - 1) / C(S, n)``. The accuracy is the sum over the sites whose
    coordinates are within the tolerance, averaged over the tested labels of the run's seed.

    Args:
        run: Settings of a run; its subsample is not used.

    Returns:
        Numbers of examples and accuracies, each of shape (counts,).

    Raises:
        UserError: The settings make no data set.
    """
    run = run.model_copy(update={"data": run.data.model_copy(update={"subsample": 1.0})})
    whole = build(run.data, run.seed)
    sites = whole.lattice[~lattice.held_out_mask(whole.lattice, run.data)]
    labels = evaluation_labels(run, whole).labels
    period = run.data.period
    patterns = _patterns(sites, labels, period)
    total = len(sites)
    counts = np.unique(np.rint(np.geomspace(1, total, _COUNTS)))
    longest = max(map(len, patterns))
    nearest = np.empty((longest, len(counts)))  # probability that the k-th site is the nearest kept
    free = np.ones(len(counts))  # probability that none of the sites before it is kept
    for k in range(longest):
        nearest[k] = free * np.minimum(counts / (total - k), 1)
        free = free - nearest[k]
    accuracy = sum(
        times * (np.array(right) @ nearest[: len(right)]) for right, times in patterns.items()
    )
    return counts, np.asarray(accuracy / len(labels))


def _patterns(sites: Floats, labels: Floats, period: float | None) -> Counter[tuple[float, ...]]:
    """Return how right the sites around a label are, nearest first, and how many labels have that.

    Sites farther away than the corner of the tolerance are wrong, and left out. Those on its edge
    count as half right in this coordinate, as in `analysis.measures.null_models`.
    """
    if period is not None:
        sites, labels = sites % period, labels % period
    # The stubs of scipy lack the box of a tree.
    tree = KDTree(sites, boxsize=period)  # type: ignore[arg-type]
    found: Counter[tuple[float, ...]] = Counter()
    reach = math.sqrt(2) * TOLERANCE + _ROUNDING
    for label, near in zip(labels, tree.query_ball_point(labels, reach), strict=True):
        offset = lattice.apart(sites[near], label, period)
        order = np.argsort((offset**2).sum(axis=1), kind="stable")
        right = expected_right(offset, TOLERANCE).prod(axis=1)
        found[tuple(float(one) for one in right[order])] += 1
    return found
