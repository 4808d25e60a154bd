"""Views of representations that one can rotate: principal components and UMAP of kept layers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.measures import measurement_cache
from factorlab.storage.files import DamagedFile
from sweeps.reporting.html_report.runs import ReportedRun, readable

BUDGET = 1_500_000
"""Maximum bytes of all views together, before they are encoded as text."""

MOST_VIEWS = 1000
"""Maximum number of views, which take some milliseconds each to read."""

MOST_POINTS = 400
"""Maximum number of points of a view; of more, every second, third, ... is shown."""

_LEVELS = 65535
"""Largest number of the 16-bit integers that hold coordinates."""

Points = NDArray[np.floating[Any]]


@dataclass
class Views:
    """The views of a sweep."""

    labels: list[list[list[float]]] = field(default_factory=list)
    """Labels of the points in pixels; views with the same labels share them."""

    items: list[dict[str, Any]] = field(default_factory=list)
    """Views: `run` (index), `layer`, `step`, `labels` (index), and of `scores` and `embedding` the
    coordinates as 16-bit integers with the smallest and the largest of each axis."""

    left_out: int = 0
    """Number of views that exceeded the budget."""

    @property
    def empty(self) -> bool:
        """Whether there are no views."""
        return not self.items

    def plain(self) -> dict[str, Any]:
        """Return the views as plain values."""
        return {"labels": self.labels, "items": self.items}


def views_of(runs: Sequence[ReportedRun], budget: int = BUDGET) -> Views:
    """Return the views of all measured layers, the last step of every run first.

    Args:
        runs: The runs of a sweep.
        budget: Maximum bytes of all views.
    """
    views, known = Views(), dict[str, int]()
    for index, layer, step in _order(runs):
        if budget <= 0 or len(views.items) == MOST_VIEWS:
            views.left_out += 1
            continue
        try:
            found = measurement_cache.read(runs[index].record.path, layer, step)
        except DamagedFile:
            continue
        if found is None:
            continue
        kept = slice(None, None, -(-len(found.labels) // MOST_POINTS))
        parts = {"scores": found.scores[kept, :3], "embedding": found.embedding[kept]}
        labels: list[list[float]] = np.asarray(found.labels[kept], float).round(2).tolist()
        name = hashlib.sha256(repr(labels).encode()).hexdigest()
        if name not in known:
            known[name] = len(views.labels)
            views.labels.append(labels)
        packed = {name: _packed(points) for name, points in parts.items()}
        budget -= sum(2 * points.size for points in parts.values())
        views.items.append(
            {"run": index, "layer": layer, "step": step, "labels": known[name], **packed}
        )
    return views


def _order(runs: Sequence[ReportedRun]) -> Iterator[tuple[int, str, int]]:
    """Yield run, layer and step of each view: the last steps of all runs, then the earlier ones."""
    steps = [
        (index, folder.name, _steps(folder))
        for index, run in readable(runs)
        for folder in sorted(run.record.analysis.glob("*"))
        if folder.is_dir()
    ]
    yield from ((index, layer, found[-1]) for index, layer, found in steps if found)
    yield from ((index, layer, step) for index, layer, found in steps for step in found[:-1])


def _steps(folder: Path) -> list[int]:
    """Return the measured steps of a layer, in order."""
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.npz"))


def _packed(points: Points) -> dict[str, Any]:
    """Return coordinates as 16-bit integers, point by point, with the ends of each axis."""
    low, high = points.min(axis=0), points.max(axis=0)
    extent = np.where(high > low, high - low, 1)
    numbers = np.round((points - low) / extent * _LEVELS).astype("<u2")
    ends = [[float(f"{a:.7g}"), float(f"{b:.7g}")] for a, b in zip(low, high, strict=True)]
    return {"ends": ends, "points": base64.b64encode(numbers.tobytes()).decode()}
