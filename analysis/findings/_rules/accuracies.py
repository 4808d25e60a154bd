"""Accuracies of the cells of a design, beside those of the null models."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pandas as pd

from analysis.findings import NotMeasuredError
from analysis.findings._rules.conditions import shown
from analysis.findings._rules.tables import measured
from analysis.measures.null_models import IN_FINDINGS, labels_column, null_column
from analysis.plotting import axis_labels
from analysis.statistics.cell_means import CellMeans, Cells, Terms, differences
from analysis.statistics.estimate import Estimate
from analysis.tables.selection import where


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
        nulls = {model: null_column(metric, model) for model in IN_FINDINGS}
        self.rows = measured(rows, metric, labels, "seed", *nulls.values(), *keys[:1])
        self._means = CellMeans(self.rows, metric, self.rows[labels].to_list(), keys)
        self._nulls, self._keys = nulls, keys

    def values(self, key: str, cells: Cells | None = None) -> list[float]:
        """Return the values of a setting in some cells, sorted."""
        return sorted(self._of(cells or {})[key].dropna().unique())

    def combination(self, terms: Terms, *, beyond: bool = False) -> Estimate:
        """Estimate a weighted sum of mean accuracies; see `CellMeans.combination`.

        Args:
            terms: Weights of groups of cells.
            beyond: Subtract the accuracy of drawing the nearest example from each.

        Raises:
            NotMeasuredError: There is no such cell.
        """
        with _known(terms):
            found = self._means.combination(terms)
        return found.plus(-sum(weight * self.null(cells) for weight, cells in terms) * beyond)

    def mean(self, cells: Cells, *, beyond: bool = False) -> Estimate:
        """Estimate the mean accuracy over some cells; see `combination`."""
        terms = [(1.0, cells)]
        if beyond:
            return self.combination(terms, beyond=True)
        with _known(terms):
            return self._means.mean(cells)

    def difference(self, *pairs: tuple[Cells, Cells], beyond: bool = False) -> Estimate:
        """Estimate the mean accuracy over second cells less that over first ones.

        Args:
            pairs: First and second cells; the mean of the differences is taken.
            beyond: Subtract the accuracy of drawing the nearest example from each.
        """
        return self.combination(differences(*pairs), beyond=beyond)

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
        return where(self.rows, **cells)

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


@contextmanager
def _known(terms: Terms) -> Iterator[None]:
    """Name the cells if one of them is missing."""
    try:
        yield
    except KeyError:
        cells = "; ".join(
            " and ".join(f"{key} = {value}" for key, value in cells.items()) for _, cells in terms
        )
        raise NotMeasuredError(f"No finished trial with {cells}.") from None


IN_BRACKETS = (
    "In round brackets: drawing the nearest example, and putting the nearest coordinates together."
)
"""Explains the numbers in round brackets of `Accuracies.text`."""
