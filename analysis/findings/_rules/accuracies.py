"""Accuracies of the cells of a design, beside those of the null models."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.findings import NotMeasuredError
from analysis.findings._rules.conditions import shown
from analysis.findings._rules.tables import measured
from analysis.measures.null_models import MODELS, labels_column, null_column
from analysis.plotting import axis_labels
from analysis.statistics.cell_means import CellMeans, Cells
from analysis.statistics.estimate import Estimate, of_draws, of_mean

Terms = Sequence[tuple[float, Cells]]

_NOTHING = Estimate(math.nan, -math.inf, math.inf, 0)


class Accuracies:
    """Mean accuracies of cells (`analysis.statistics.cell_means`) and of the null models.

    Args:
        rows: One row per run.
        metric: Column of the accuracies. The columns of the null models and of the numbers of
            labels follow from it.
        keys: Settings that identify a cell.

    Raises:
        NotMeasuredError: No row has what is needed.
    """

    def __init__(self, rows: pd.DataFrame, metric: str, *keys: str) -> None:
        labels = labels_column(metric)
        nulls = {model: null_column(metric, model) for model in MODELS}
        self.rows = measured(rows, metric, labels, "seed", *nulls.values(), *keys[:1])
        self._means = CellMeans(self.rows, metric, self.rows[labels].to_list(), keys)
        self._nulls, self._keys, self._metric = nulls, keys, metric

    def values(self, key: str, **equal: object) -> list[float]:
        """Return the values of a setting, sorted, of rows in which others have given values.

        Args:
            key: The setting.
            equal: Values of other settings; the dots in their names are written as ``__``.
        """
        rows = self.rows
        for other, value in equal.items():
            rows = rows[rows[other.replace("__", ".")] == value]
        return sorted(rows[key].dropna().unique())

    def combination(self, terms: Terms, *, beyond: bool = False) -> Estimate:
        """Estimate a weighted sum of mean accuracies.

        The interval is the wider of two. One comes from the posterior of the cells, which knows how
        many labels were tested, and how much seeds scatter in all cells. The other is Student's t
        of the sum within each seed: runs with one seed have weights and examples in common.

        Args:
            terms: Weights, and values of keys that the cells of each term have.
            beyond: Subtract the accuracy of drawing the nearest example from each.

        Returns:
            The estimate; without an interval if fewer than two seeds have all cells.

        Raises:
            NotMeasuredError: There is no such cell.
        """
        drawn = sum(weight * self._draws(cells) for weight, cells in terms)
        nulls = sum(weight * self.null(cells) for weight, cells in terms) if beyond else 0.0
        runs = min(self.runs(cells) for _, cells in terms)
        posterior = of_draws(np.asarray(drawn) - nulls, runs)
        paired = self._within_seeds(terms)
        if paired.runs < 2:
            return Estimate(posterior.value, -math.inf, math.inf, paired.runs)
        half = (paired.high - paired.low) / 2
        low = min(posterior.low, posterior.value - half)
        return Estimate(posterior.value, low, max(posterior.high, posterior.value + half), runs)

    def mean(self, cells: Cells, *, beyond: bool = False) -> Estimate:
        """Estimate the mean accuracy over some cells; see `combination`.

        Without `beyond`, an interval ends at 0 and 1.
        """
        found = self.combination([(1.0, cells)], beyond=beyond)
        if beyond or not math.isfinite(found.low):
            return found
        return Estimate(found.value, max(found.low, 0.0), min(found.high, 1.0), found.runs)

    def difference(self, *pairs: tuple[Cells, Cells], beyond: bool = False) -> Estimate:
        """Estimate the mean accuracy over second cells less that over first ones.

        Args:
            pairs: First and second cells; the mean of the differences is taken.
            beyond: Subtract the accuracy of drawing the nearest example from each.
        """
        share = 1 / len(pairs)
        terms = [term for one, other in pairs for term in ((-share, one), (share, other))]
        return self.combination(terms, beyond=beyond)

    def runs(self, cells: Cells) -> int:
        """Return the smallest number of runs of some cells.

        Raises:
            NotMeasuredError: There is no such cell.
        """
        with self._known(cells):
            return self._means.runs(cells)

    def _draws(self, cells: Cells) -> NDArray[np.float64]:
        with self._known(cells):
            return self._means.draws(cells)

    @contextmanager
    def _known(self, cells: Cells) -> Iterator[None]:
        try:
            yield
        except KeyError:
            places = " and ".join(f"{key} = {value}" for key, value in cells.items())
            raise NotMeasuredError(f"No finished trial with {places}.") from None

    def _within_seeds(self, terms: Terms) -> Estimate:
        """Estimate the sum from its value in each seed that has all cells of all terms."""
        parts = []
        for weight, cells in terms:
            rows = self._of(cells)
            cell = rows.groupby([*self._keys], dropna=False).ngroup()
            wide = rows.assign(cell=cell).pivot_table(self._metric, "seed", "cell")
            parts.append(weight * wide.mean(axis=1, skipna=False))
        sums = pd.concat(parts, axis=1).sum(axis=1, skipna=False).dropna()
        return of_mean(sums) if len(sums) else _NOTHING

    def null(self, cells: Cells, model: str = "nearest") -> float:
        """Return the accuracy of a null model: the mean over the cells of its mean over seeds."""
        rows = self._of(cells)
        means = rows.groupby([*self._keys], dropna=False)[self._nulls[model]].mean()
        return float(means.mean())

    def examples(self, cells: Cells) -> float:
        """Return the mean number of 2D examples of some cells.

        Raises:
            NotMeasuredError: It is missing.
        """
        return float(measured(self._of(cells), "samples_2d")["samples_2d"].mean())

    def _of(self, cells: Cells) -> pd.DataFrame:
        rows = self.rows
        for key, value in cells.items():
            rows = rows[[one == value for one in rows[key]]]
        return rows

    def text(self, cells: Cells) -> str:
        """Format the mean of some cells with the null models: `78 % [70, 85] (0 %, 100 %)`."""
        nulls = ", ".join(f"{100 * self.null(cells, model):.0f} %" for model in self._nulls)
        return f"{shown(self.mean(cells))} ({nulls})"

    def listed(self, key: str, values: Iterable[float], cells: Cells) -> str:
        """Format the mean at several values of a setting; see `text`."""
        return ", ".join(
            f"{self.text({**cells, key: value})} at {axis_labels.value(key, value)}"
            for value in values
        )


IN_BRACKETS = (
    "In round brackets: drawing the nearest example, and putting the nearest coordinates together."
)
"""Explains the numbers in round brackets of `Accuracies.text`."""
