"""Accuracies of the cells of a design, beside those of the null models."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.findings import NotMeasuredError
from analysis.findings._rules.conditions import shown
from analysis.findings._rules.tables import measured
from analysis.measures.null_models import MODELS, labels_column, null_column
from analysis.plotting import axis_labels
from analysis.statistics.cell_means import CellMeans, Cells
from analysis.statistics.estimate import Estimate, of_draws


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
        self.rows = measured(rows, metric, labels, *nulls.values(), *keys[:1])
        self._means = CellMeans(self.rows, metric, self.rows[labels].to_list(), keys)
        self._nulls, self._keys = nulls, keys

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

    def draws(self, cells: Cells, *, beyond: bool = False) -> NDArray[np.float64]:
        """Draw the mean accuracy over some cells, shape (draws,).

        Args:
            cells: Values of keys that the cells have.
            beyond: Subtract the accuracy of drawing the nearest example.

        Raises:
            NotMeasuredError: There is no such cell.
        """
        try:
            drawn = self._means.draws(cells)
        except KeyError:
            places = " and ".join(f"{key} = {value}" for key, value in cells.items())
            raise NotMeasuredError(f"No finished trial with {places}.") from None
        return drawn - self.null(cells) if beyond else drawn

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

    def mean(self, cells: Cells, *, beyond: bool = False) -> Estimate:
        """Estimate the mean accuracy over some cells; see `draws`."""
        drawn = self.draws(cells, beyond=beyond)
        return of_draws(drawn, self._means.runs(cells))

    def difference(self, *pairs: tuple[Cells, Cells], beyond: bool = False) -> Estimate:
        """Estimate the mean accuracy over second cells less that over first ones.

        Args:
            pairs: First and second cells; the mean of the differences is taken.
            beyond: Subtract the accuracy of drawing the nearest example from each.
        """
        drawn = [
            self.draws(second, beyond=beyond) - self.draws(first, beyond=beyond)
            for first, second in pairs
        ]
        runs = min(self._means.runs(cells) for pair in pairs for cells in pair)
        return of_draws(np.mean(drawn, axis=0), runs)

    def runs(self, cells: Cells) -> int:
        """Return the smallest number of runs of some cells."""
        return self._means.runs(cells)

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
