"""A sketch of accuracy against an axis, in characters, that fills in while a sweep runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 56, 7
_SYMBOLS = "●○▲△■□◆◇"
_BARS = " ▁▂▃▄▅▆▇█"


def strip(masses: Sequence[float]) -> str:
    """Return a histogram as one line of characters, scaled to its largest value."""
    most = max(masses, default=0.0)
    return "".join(_BARS[round(mass / most * (len(_BARS) - 1)) if most else 0] for mass in masses)


@dataclass(frozen=True)
class Point:
    """A finished trial."""

    x: float
    accuracy: float
    """In [0, 1]."""

    group: str
    """Its values on the axis whose values get different symbols."""


@dataclass(frozen=True)
class Sketch:
    """Accuracy of the finished trials against an axis."""

    axis: str
    """Name of the axis."""

    ends: tuple[float, float]
    """Smallest and largest value of the axis."""

    groups: Sequence[str]
    points: Sequence[Point] = ()

    def with_point(self, place: tuple[float, str], accuracy: float) -> Sketch:
        """Return the sketch with one more trial.

        Args:
            place: Its value on the axis, and its group.
            accuracy: Its accuracy, in [0, 1].
        """
        return replace(self, points=(*self.points, Point(place[0], accuracy, place[1])))

    def lines(self) -> list[str]:
        """Return the sketch, at most 70 characters wide."""
        low, high = self.ends
        log = low > 0 and high / low >= 10
        start, end = (math.log(low), math.log(high)) if log else (low, high)
        cells = [[" "] * WIDTH for _ in range(HEIGHT)]
        for point in self.points:
            x = math.log(point.x) if log else point.x
            column = round((x - start) / (end - start) * (WIDTH - 1)) if end > start else WIDTH // 2
            row = round((1 - min(1.0, max(0.0, point.accuracy))) * (HEIGHT - 1))
            cells[row][min(WIDTH - 1, max(0, column))] = self._symbol(point.group)
        names = {0: "100 %", HEIGHT // 2: " 50 %", HEIGHT - 1: "  0 %"}
        rows = [f"{names.get(i, ''):>5} │{''.join(row)}" for i, row in enumerate(cells)]
        scale = f"{low:g}".ljust(WIDTH - len(f"{high:g}")) + f"{high:g}"
        legend = "   ".join(f"{self._symbol(group)} {group}" for group in self.groups if group)
        title = f"accuracy against {self.axis}{', log scale' if log else ''}"
        return [
            title,
            *rows,
            f"      └{'─' * WIDTH}",
            f"       {scale}",
            f"       {legend}".rstrip(),
        ]

    def _symbol(self, group: str) -> str:
        return _SYMBOLS[self.groups.index(group) % len(_SYMBOLS)] if group in self.groups else "·"
