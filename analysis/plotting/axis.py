"""Where values stand on an axis: numbers to scale, words in their order, a missing one apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import NullFormatter, NullLocator

from analysis.plotting.axis_labels import NONE

# Values up to which a logarithmic axis has a tick for each that has room, and a linear one for all.
_TICKS, _FEW = 8, 5

# Least ratio of two ticks of a logarithmic axis.
_CLOSE = 1.7

# Least distance of two ticks of a linear axis, as a share of it.
_NEAR = 0.08

# Ratio of the largest to the smallest value from which an axis is logarithmic.
_WIDE = 15

# Share of the axis between a missing value and the least number.
_APART = 0.15

# Inches that a character of a tick's label takes, those around a label, and those of a short one.
_CHARACTER, _AROUND, _SHORT = 0.065, 0.12, 0.6

# Labels of words that are written out; of more, evenly chosen ones.
_MOST_WORDS = 40


@dataclass(frozen=True)
class Places:
    """Where each value of an axis stands."""

    at: dict[object, float]
    """Value, as `_grid.on_axis` returns it, to its place."""

    numbers: tuple[float, ...]
    """The numbers, sorted; empty on an axis of words."""

    log: bool

    @classmethod
    def of(cls, values: Iterable[object]) -> "Places":
        """Return the places of values: numbers and `none`, or words in their order."""
        distinct = list(dict.fromkeys(values))
        at: dict[object, float] = {v: float(v) for v in distinct if isinstance(v, int | float)}
        if not at:
            return cls({word: float(i) for i, word in enumerate(distinct)}, (), log=False)
        numbers = sorted(at.values())
        positive = [number for number in numbers if number > 0]
        log = len(positive) > 0 and positive[-1] >= _WIDE * positive[0]
        if NONE in distinct:
            at[NONE] = _before(numbers, log=log)
        return cls(at, tuple(numbers), log=log)

    def order(self) -> list[object]:
        """Return the values as they stand, from the left."""
        return sorted(self.at, key=self.at.__getitem__)

    def place(self, values: Iterable[object]) -> list[float]:
        """Return where each of some values stands."""
        return [self.at[value] for value in values]

    def sort(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return rows with a column `x` from the left to the right."""
        return table.iloc[np.argsort(self.place(table["x"]), kind="stable")]

    def joined(self, table: pd.DataFrame) -> list[pd.DataFrame]:
        """Return rows from the left to the right, apart where a curve through them breaks.

        It breaks between a missing value and numbers.
        """
        table = self.sort(table)
        if not self.numbers or NONE not in self.at:
            return [table]
        missing = np.array([value == NONE for value in table["x"]], dtype=bool)
        return [part for part in (table[missing], table[~missing]) if len(part)]

    def label(self, places: Sequence[Axes], inches: float) -> None:
        """Scale and label the horizontal axes of panels.

        Args:
            places: The panels; their horizontal axes are alike.
            inches: Width of a panel.
        """
        for axes in places:
            if not self.numbers:
                label_words(axes.xaxis, list(self.at.values()), list(map(str, self.at)), inches)
                continue
            self._scale(axes)
            if NONE in self.at:
                self._label_missing(axes)

    def _scale(self, axes: Axes) -> None:
        values, count = list(self.numbers), len(self.numbers)
        if not self.log:
            if count <= _FEW:
                axes.set_xticks(_spread(values))
            return
        if values[0] <= 0:
            axes.set_xscale("symlog", linthresh=min(v for v in values if v > 0))
            scale = axes.xaxis.get_transform()
            low, high = scale.transform([min(self.at.values()), values[-1]])
            rim = 0.05 * (high - low)
            axes.set_xlim(*scale.inverted().transform([low - rim, high + rim]))
        else:
            axes.set_xscale("log")
        if count <= _TICKS:
            axes.set_xticks(_apart(values))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")

    def _label_missing(self, axes: Axes) -> None:
        """Add a tick for the missing value, and a line between it and the numbers."""
        missing, first, last = self.at[NONE], self.numbers[0], self.numbers[-1]
        ticks = [t for t in axes.xaxis.get_major_locator()() if first <= t <= last]
        if self.log and len(ticks) < 2:
            ticks = _apart(list(self.numbers))
        texts = [f"{tick:g}" for tick in ticks]
        axes.set_xticks([missing, *ticks], [NONE, *texts])
        axes.xaxis.set_minor_locator(NullLocator())  # none beside `none`
        between = (missing * first) ** 0.5 if self.log and missing > 0 else (missing + first) / 2
        axes.axvline(between, color="0.85", lw=0.8, zorder=0)


def _spread(ticks: Sequence[float]) -> list[float]:
    """Ticks far enough apart on a linear axis that their labels do not touch."""
    kept = [ticks[0]]
    for tick in ticks[1:]:
        if tick - kept[-1] >= _NEAR * (ticks[-1] - ticks[0]):
            kept.append(tick)
    return kept


def _before(numbers: Sequence[float], *, log: bool) -> float:
    """Return a place in front of numbers."""
    first, last = float(numbers[0]), float(numbers[-1])
    if not log:
        return first - (_APART * (last - first) or abs(first) or 1)
    if first > 0:
        return float(first / (last / first) ** _APART)
    return first - min(number for number in numbers if number > 0)


def _apart(ticks: Sequence[float]) -> list[float]:
    """Ticks far enough apart on a logarithmic axis that their labels do not touch."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or kept[-1] <= 0 or tick >= _CLOSE * kept[-1]:
            kept.append(tick)
    return kept


def beside(words: Iterable[str]) -> float:
    """Return the inches that words beside a vertical axis take more than short ones."""
    return max(0.0, _CHARACTER * max(map(len, words), default=0) - _SHORT)


def label_words(axis: Axis, at: Sequence[float], words: Sequence[str], inches: float) -> None:
    """Label places with words that do not touch: turned where they are long, not all where many.

    Args:
        axis: Horizontal or vertical.
        at: Where they stand, evenly.
        words: One for each place.
        inches: Length of the axis.
    """
    turn: dict[str, Any] = {}
    room = _MOST_WORDS
    if isinstance(axis, XAxis):
        longest = max(map(len, words), default=0) * _CHARACTER + _AROUND
        room = max(2, int(inches / longest))
        if len(words) > room and longest > 2 * (_CHARACTER + _AROUND):
            turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
            room = max(2, int(inches / (2 * _AROUND)))
    else:
        room = max(2, int(inches / (1.5 * _AROUND)))
    step = -(-len(words) // room)
    axis.set_ticks(at[::step], words[::step], **turn)
