"""The figures of a sweep: drawn where they are missing or outdated, and embedded."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeps.planning.experiment import FigureEntry
from sweeps.planning.plan import Plan
from sweeps.reporting import reports
from sweeps.reporting.failures import Failure
from sweeps.reporting.html_report.runs import ReportedRun, readable

BUDGET = 4_500_000
"""Maximum bytes of all figures together, before they are encoded as text."""

_WIDTH = 1600
"""Width in pixels of a figure that exceeds its share of the budget."""

_QUALITY = 80
"""Quality of its WebP picture."""


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure of the experiment as the page shows it."""

    name: str
    alt: str
    """What the figure shows, for readers who do not see it."""

    source: str | None
    """Picture as a data URI, None if there is none."""

    width: int = 0
    height: int = 0
    note: str = ""
    """Why there is no picture, or in which way it differs from the file."""


def figures_of(
    plan: Plan,
    runs: Sequence[ReportedRun],
    folder: Path,
    failed: Sequence[Failure] | None = None,
    budget: int = BUDGET,
) -> tuple[list[EmbeddedFigure], list[Failure]]:
    """Return the figures of a sweep, and the failures of those that were drawn for it.

    Args:
        plan: Plan of the sweep.
        runs: Its runs.
        folder: Folder of all figures.
        failed: Failures of figures if all have just been drawn. If None, figures that are missing
            or older than a record are drawn.
        budget: Maximum bytes of all pictures.
    """
    if not plan.figures or not any(run.result is not None for run in runs):
        return [], []
    problems = list(failed) if failed is not None else _draw(plan, runs, folder)
    reasons = {problem.what: problem.reason for problem in problems}
    shown = []
    for count, entry in enumerate(plan.figures):
        figure = _embedded(plan, entry, folder, budget // (len(plan.figures) - count), reasons)
        shown.append(figure)
        budget -= len(figure.source or "") * 3 // 4
    return shown, [] if failed is not None else problems


def _draw(plan: Plan, runs: Sequence[ReportedRun], folder: Path) -> list[Failure]:
    """Draw the figures that are missing or older than a record, and return their failures."""
    newest = max((_changed(run) for _, run in readable(runs)), default=0.0)
    old = [
        entry.name
        for entry in plan.figures
        if not (path := _path(plan, entry, folder)).exists() or path.stat().st_mtime < newest
    ]
    return reports.draw(plan, folder, old)[1] if old else []


def _changed(run: ReportedRun) -> float:
    """Return when the metrics or measures of a run last changed, in seconds since the epoch."""
    files: Iterable[Path] = (run.record.journal, *run.record.analysis.glob("*.jsonl"))
    return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)


def _path(plan: Plan, entry: FigureEntry, folder: Path) -> Path:
    return folder / plan.experiment / f"{entry.name}-{plan.label}.png"


def _embedded(
    plan: Plan, entry: FigureEntry, folder: Path, budget: int, reasons: dict[str, str]
) -> EmbeddedFigure:
    """Return a figure with its picture if that fits into the budget, perhaps at lower quality."""
    import cv2  # noqa: PLC0415 - takes 0.2 s

    alt = _in_words(plan, entry)
    reason = reasons.get(f"figure '{entry.name}'")
    path = _path(plan, entry, folder)
    if reason is not None or not path.exists():
        return EmbeddedFigure(entry.name, alt, None, note=f"Not drawn: {reason or 'unknown'}")
    content, kind, note = path.read_bytes(), "png", ""
    read = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    if read is None:
        return EmbeddedFigure(entry.name, alt, None, note=f"{path.name} cannot be read.")
    picture: NDArray[np.uint8] = np.asarray(read, dtype=np.uint8)
    height, width = picture.shape[:2]
    if len(content) > budget:
        scale = min(1.0, _WIDTH / width)
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, encoded = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
        content, kind = encoded.tobytes(), "webp"
        note = f"Smaller here than {path.name}, which has all details."
    if len(content) > budget:
        return EmbeddedFigure(entry.name, alt, None, note=f"Too large for this page: {path.name}.")
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return EmbeddedFigure(entry.name, alt, source, width, height, note)


def _in_words(plan: Plan, entry: FigureEntry) -> str:
    """Return the alternative text of a figure: what draws it, and its options."""
    options = "; ".join(f"{key}: {_listed(value)}" for key, value in entry.options.items())
    what = f" ({options})" if options else ""
    return (
        f"Figure '{entry.name}' of the sweep {plan.sweep}, drawn by '{entry.draw}'{what}. "
        "The numbers are in the CSV files beside the picture and in the table of runs."
    )


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
