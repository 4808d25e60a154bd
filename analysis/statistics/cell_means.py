"""Mean accuracy in each cell of a design, with what a few seeds leave unknown.

A cell is a combination of settings, trained with several seeds. Accuracies are shares of a finite
number of labels, they end at 0 and 1, and many cells reach one of the ends. So the model is that of
repeated shares: the right labels of a run are binomial, the accuracies of the seeds of a cell
follow a beta distribution about its mean ``p``, and its concentration ``kappa`` is common to all
cells, so that cells with few seeds learn the scatter from the others. The variance between seeds is
``p (1 - p) / (1 + kappa)``: largest in the middle, and none at the ends. The prior of a mean is
Jeffreys', that of the concentration uniform in its logarithm.

The posterior is computed on a grid and drawn from with a fixed seed, so the same table gives the
same numbers.

Runs with the same seed have initial weights and examples in common, and cells may scatter unlike.
So every interval is the wider of two: that of the posterior, and Student's t of the same quantity
within each seed. Both are our choice; tests hold how often they contain the truth.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaln

from analysis.statistics.estimate import Estimate, of_draws, of_mean
from analysis.tables.selection import where

Floats = NDArray[np.float64]
Cells = Mapping[str, object]
"""Values of keys that the cells of a group have."""

Terms = Sequence[tuple[float, Cells]]
"""Weights of groups of cells."""

_MEANS = 400  # means on the grid, evenly in the angle in which Jeffreys' prior is uniform
# Standard deviations of the seeds of 25 points down to 1 point in the middle.
_CONCENTRATIONS = np.geomspace(3.0, 3000.0, 30)
_DRAWS = 8000


class CellMeans:
    """The posterior of the mean accuracy of each cell.

    Args:
        rows: One row per run, with a column `seed`.
        metric: Column of the accuracies, shares in [0, 1] without NaN.
        labels: Number of labels behind each accuracy, one per row.
        keys: Columns that identify a cell.

    Raises:
        ValueError: There is no row, or an accuracy is outside [0, 1].
    """

    def __init__(
        self, rows: pd.DataFrame, metric: str, labels: Sequence[float], keys: Sequence[str]
    ) -> None:
        shares, counts = rows[metric].to_numpy(float), np.asarray(labels, dtype=float)
        if not (len(rows) and ((shares >= 0) & (shares <= 1)).all()):
            raise ValueError(f"{metric} has to be a share in [0, 1] in at least one row.")
        grouped = rows.groupby(list(keys), sort=False, dropna=False)
        places = grouped.ngroup().to_numpy().astype(np.intp)
        self._cells = rows[list(keys)].assign(place=places).drop_duplicates("place")
        runs = pd.DataFrame({"seed": rows["seed"].to_numpy(), "place": places, "share": shares})
        self._by_seed = runs.pivot_table("share", "seed", "place")
        self._runs = np.bincount(places)
        self._drawn = _drawn(_log_likelihood(shares, counts), places)

    def draws(self, cells: Cells) -> Floats:
        """Draw the mean over some cells, shape (draws,).

        All draws of one object belong together, so differences of them are draws of the difference.

        Args:
            cells: Values of keys that the cells have; each cell counts alike.

        Raises:
            KeyError: There is no such cell.
        """
        return np.asarray(self._drawn[:, self._places(cells)].mean(axis=1))

    def runs(self, cells: Cells) -> int:
        """Return the smallest number of runs of some cells."""
        return int(self._runs[self._places(cells)].min())

    def combination(self, terms: Terms) -> Estimate:
        """Estimate a weighted sum of means over groups of cells.

        Returns:
            The estimate; without an interval if fewer than two seeds have all cells.

        Raises:
            KeyError: There is no such cell.
        """
        drawn = np.sum([weight * self.draws(cells) for weight, cells in terms], axis=0)
        found = of_draws(drawn, min(self.runs(cells) for _, cells in terms))
        sums = sum(
            weight * self._by_seed[self._places(cells)].mean(axis=1, skipna=False)
            for weight, cells in terms
        )
        paired = pd.Series(sums).dropna()
        if len(paired) < 2:
            return Estimate(found.value, -math.inf, math.inf, len(paired))
        within = of_mean(paired)
        half = (within.high - within.low) / 2
        ends = min(found.low, found.value - half), max(found.high, found.value + half)
        return Estimate(found.value, *ends, found.runs)

    def mean(self, cells: Cells) -> Estimate:
        """Estimate the mean over some cells; see `combination`. Its interval ends at 0 and 1."""
        found = self.combination([(1.0, cells)])
        if not math.isfinite(found.low):
            return found
        return Estimate(found.value, max(found.low, 0.0), min(found.high, 1.0), found.runs)

    def difference(self, *pairs: tuple[Cells, Cells]) -> Estimate:
        """Estimate the mean over second cells less that over first ones, averaged over pairs."""
        return self.combination(differences(*pairs))

    def _places(self, cells: Cells) -> NDArray[np.intp]:
        found = where(self._cells, **cells)
        if found.empty:
            raise KeyError(f"no cell has {dict(cells)}")
        return found["place"].to_numpy()


def differences(*pairs: tuple[Cells, Cells]) -> Terms:
    """Return the mean of the differences, second cells less first ones, as a weighted sum."""
    share = 1 / len(pairs)
    return [term for one, other in pairs for term in ((-share, one), (share, other))]


def _grid() -> Floats:
    """Return means in the middle of equal steps of the angle arcsin(sqrt(p))."""
    angles = (np.arange(_MEANS) + 0.5) / _MEANS * np.pi / 2
    return np.asarray(np.sin(angles) ** 2)


def _log_likelihood(shares: Floats, counts: Floats) -> Floats:
    """Return the log likelihood of each run, shape (concentrations, means, runs)."""
    right = np.round(shares * counts)
    means, kappa = _grid()[:, None], _CONCENTRATIONS[:, None, None]
    first, second = kappa * means, kappa * (1 - means)
    found = betaln(first + right, second + counts - right) - betaln(first, second)
    return np.asarray(found)


def _drawn(log: Floats, places: NDArray[np.intp]) -> Floats:
    """Draw the means of all cells together, shape (draws, cells)."""
    cells = np.zeros((*log.shape[:2], places.max() + 1))
    for run, cell in enumerate(places):
        cells[:, :, cell] += log[:, :, run]
    top = cells.max(axis=1, keepdims=True)
    weights = np.exp(cells - top)
    evidence = (np.log(weights.sum(axis=1)) + top[:, 0]).sum(axis=1)
    rng = np.random.default_rng(0)
    odds = np.exp(evidence - evidence.max())
    kappa = np.sort(rng.choice(len(odds), size=_DRAWS, p=odds / odds.sum()))
    drawn, means = np.empty((_DRAWS, cells.shape[2])), _grid()
    for value in np.unique(kappa):
        chosen = np.flatnonzero(kappa == value)
        for cell in range(cells.shape[2]):
            p = weights[value, :, cell]
            drawn[chosen, cell] = rng.choice(means, size=len(chosen), p=p / p.sum())
    return drawn
