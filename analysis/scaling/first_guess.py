"""Where a theory expects accuracy to cross a level, before any run has been trained.

`percolation`: the number of bumps at which the largest cluster of overlapping bumps holds the level
([F] Figs. 5, 6), at an overlap of 0.5. `nearest`: the number of examples at which copying the
example nearest to the label has this accuracy (`analysis.measures.null_models`).
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np

from analysis.measures.null_models import copied
from factorlab import families
from factorlab.config import RunSettings
from factorlab.data.dataset import build, evaluation_labels
from percolation import predict_samples

Theory = Literal["percolation", "nearest"]

OVERLAP = 0.5
"""Overlap from which two bumps are linked; close to what small images need (our choice)."""

DEVIATION = math.log(2)
"""Standard deviation of a first guess, in log(samples): a factor of 2 (our choice)."""

_REALISATIONS = 100
_SEEDS = 8  # data sets over which the nearest example's accuracy is averaged
_COUNTS = 60  # numbers of examples between 1 and the whole lattice


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
    return _nearest(run, level)


def _nearest(run: RunSettings, level: float) -> float | None:
    """Return the crossing of the mean accuracy of copying, interpolated in log(samples)."""
    whole = run.data.model_copy(update={"subsample": 1.0})
    period = float(run.data.size) if run.data.periodic else None
    sites = build(whole, run.seed).samples_2d
    counts = np.unique(np.rint(np.geomspace(1, sites, _COUNTS)))
    means = np.zeros(len(counts))
    for seed in range(_SEEDS):
        settings = run.model_copy(update={"seed": seed, "data": whole})
        labels = evaluation_labels(settings, build(whole, seed)).labels
        for i, count in enumerate(counts):
            part = whole.model_copy(update={"subsample": count / sites})
            kept = build(part, seed)
            right = copied(kept.lattice[kept.seen], labels, period=period)
            means[i] += right.mean() / _SEEDS
    if means[-1] < level:
        return None
    return float(np.exp(np.interp(level, np.maximum.accumulate(means), np.log(counts))))
