"""Positions of values on an axis: numbers to scale, words in order, missing values set apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import NullFormatter, NullLocator

from analysis.plotting.axis_labels import NONE

# Up to this many values, a logarithmic and a linear axis place their ticks at the values.
_TICKS, _FEW = 8, 5

# Least ratio of adjacent ticks on a logarithmic axis.
_CLOSE = 1.7

# Least distance of adjacent ticks on a linear axis, as a share of its length.
_NEAR = 0.08

# Least ratio of the largest to the smallest value on a logarithmic axis.
_WIDE = 15

# Gap between a missing value and the smallest number, as a share of the axis.
_APART = 0.15

# Inches per character of a tick label, of the padding around a label, and of a short label.
_CHARACTER, _AROUND, _SHORT = 0.065, 0.12, 0.6

# Maximum number of word labels; of more words, evenly spaced ones are labelled.
_MOST_WORDS = 40


@dataclass(frozen=True)
class Places:
    """Position of each value on an axis."""

    at: dict[object, float]
    """Maps a value, as returned by `_grid.on_axis`, to its position in data coordinates."""

    numbers: tuple[float, ...]
    """The numeric values, sorted; empty on an axis of words."""

    log: bool
    """Whether the axis is logarithmic."""

    @classmethod
    def of(cls, values: Iterable[object]) -> "Places":
        """Compute the positions of values: numbers and `none`, or words in the given order."""
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
        """Return the values from left to right."""
        return sorted(self.at, key=self.at.__getitem__)

    def place(self, values: Iterable[object]) -> list[float]:
        """Return the positions of values."""
        return [self.at[value] for value in values]

    def sort(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table ordered by the position of their column `x`."""
        return table.iloc[np.argsort(self.place(table["x"]), kind="stable")]

    def joined(self, table: pd.DataFrame) -> list[pd.DataFrame]:
        """Return ordered rows, split into the parts that a curve connects.

        A curve does not connect a missing value with numbers.
        """
        table = self.sort(table)
        if not self.numbers or NONE not in self.at:
            return [table]
        missing = np.array([value == NONE for value in table["x"]], dtype=bool)
        return [part for part in (table[missing], table[~missing]) if len(part)]

    def label(self, places: Sequence[Axes], inches: float) -> None:
        """Set the scale and tick labels of the horizontal axes of panels.

        Args:
            places: Panels that share this horizontal axis.
            inches: Width of a panel in inches.
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
        """Add a tick for the missing value and a line between it and the numbers."""
        missing, first, last = self.at[NONE], self.numbers[0], self.numbers[-1]
        ticks = [t for t in axes.xaxis.get_major_locator()() if first <= t <= last]
        if self.log and len(ticks) < 2:
            ticks = _apart(list(self.numbers))
        texts = [f"{tick:g}" for tick in ticks]
        axes.set_xticks([missing, *ticks], [NONE, *texts])
        axes.xaxis.set_minor_locator(NullLocator())  # no minor ticks beside the missing value
        between = (missing * first) ** 0.5 if self.log and missing > 0 else (missing + first) / 2
        axes.axvline(between, color="0.85", lw=0.8, zorder=0)


def _spread(ticks: Sequence[float]) -> list[float]:
    """Select ticks of a linear axis whose labels do not touch."""
    kept = [ticks[0]]
    for tick in ticks[1:]:
        if tick - kept[-1] >= _NEAR * (ticks[-1] - ticks[0]):
            kept.append(tick)
    return kept


def _before(numbers: Sequence[float], *, log: bool) -> float:
    """Return a position left of all numbers."""
    first, last = float(numbers[0]), float(numbers[-1])
    if not log:
        return first - (_APART * (last - first) or abs(first) or 1)
    if first > 0:
        return float(first / (last / first) ** _APART)
    return first - min(number for number in numbers if number > 0)


def _apart(ticks: Sequence[float]) -> list[float]:
    """Select ticks of a logarithmic axis whose labels do not touch."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or kept[-1] <= 0 or tick >= _CLOSE * kept[-1]:
            kept.append(tick)
    return kept


def beside(words: Iterable[str]) -> float:
    """Return the extra width in inches of words beside a vertical axis, compared to short ones."""
    return max(0.0, _CHARACTER * max(map(len, words), default=0) - _SHORT)


def label_words(axis: Axis, at: Sequence[float], words: Sequence[str], inches: float) -> None:
    """Label positions with words that do not touch.

    Long words on a horizontal axis are rotated. If there are too many words, only evenly spaced
    ones are shown.

    Args:
        axis: A horizontal or vertical axis.
        at: Evenly spaced positions.
        words: One word per position.
        inches: Length of the axis in inches.
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
