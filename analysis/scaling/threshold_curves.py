"""The curves on which a threshold search looks for crossings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.scaling.thresholds import WIDTHS

SUBSAMPLE = "data.subsample"
"""Axis whose positions are numbers of samples, which is what its values stand for."""

SEED = "seed"
"""Setting that is no axis of its own: runs that differ in it alone repeat a point of a curve."""


@dataclass(frozen=True)
class Axis:
    """The axis along which curves run, and the unit of positions on it."""

    key: str
    """Dotted key of the setting."""

    log: bool
    """Whether positions are logarithms."""

    @property
    def widths(self) -> tuple[float, float] | None:
        """Narrowest and widest transition that are considered; None if the range decides."""
        return WIDTHS if self.key == SUBSAMPLE and self.log else None

    @property
    def unit(self) -> str:
        """What a position counts, in words."""
        return "samples" if self.key == SUBSAMPLE else self.key.rpartition(".")[2]

    def text(self, position: float) -> str:
        """Return the amount at a position."""
        amount = math.exp(position) if self.log else position
        return f"{amount:.3g}" if abs(amount) < 1000 else f"{amount:,.0f}"


@dataclass(frozen=True)
class Curve:
    """One curve of a threshold search."""

    others: Mapping[str, Any]
    """Values of the other axes, without the seed."""

    values: tuple[Any, ...]
    """Values along the axis, by increasing position."""

    places: Mapping[Any, int]
    """Index of the position of each value, also of those that are not suggested because another one
    has the same position."""

    positions: tuple[float, ...]
    """Position of each value, strictly increasing: log(samples), the logarithm or the value."""

    seeds: tuple[int, ...]

    labels: int
    """Number of labels on which a run is evaluated."""

    guesses: Mapping[float, float] = field(default_factory=dict)
    """Position at which a theory expects the crossing of each level, if one is asked."""

    @property
    def name(self) -> str:
        """Readable name, made of the values of the other axes."""
        return " ".join(f"{k.rpartition('.')[2]}={v}" for k, v in self.others.items()) or "all"
