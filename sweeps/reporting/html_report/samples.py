"""Generated images of each run: one small picture a run, within a budget for the whole page."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factorlab.storage.files import DamagedFile
from factorlab.storage.record import Record
from sweeps.reporting.html_report.runs import ReportedRun

BUDGET = 2_500_000
"""Maximum bytes of all pictures together, before they are encoded as text."""

SIDES = (5, 4, 3)
"""Images along a side of a picture, the most that the budget allows."""

_LOSSLESS, _LOSSY = 101, 75
"""Qualities of WebP; above 100 stands for lossless."""

Images = NDArray[np.uint8]


@dataclass
class Pictures:
    """Pictures of the runs, and what there was no room for."""

    by_run: list[dict[str, Any] | None] = field(default_factory=list)
    """Of each run: `image` (a data URI), `step`, `side` (images along a side), `pixels` (side of an
    image) and, of each image in pixels, the label asked for and the label read off it."""

    left_out: int = 0
    """Number of runs whose picture exceeded the budget."""


def pictures_of(runs: Sequence[ReportedRun], budget: int = BUDGET) -> Pictures:
    """Return a picture of the samples that each run kept at its latest evaluation with any.

    Args:
        runs: The runs of a sweep.
        budget: Maximum bytes of all pictures.
    """
    found, allowance = Pictures(), budget // max(1, len(runs))
    for run in runs:
        step, kept = _latest(run.record) if run.state != "unreadable" else (0, None)
        picture = None if kept is None else _picture(step, kept, allowance)
        if picture is not None and picture[0] > budget:
            picture, found.left_out = None, found.left_out + 1
        if picture is not None:
            budget -= picture[0]
        found.by_run.append(None if picture is None else picture[1])
    return found


def _latest(record: Record) -> tuple[int, dict[str, NDArray[Any]] | None]:
    """Return the latest step with samples, and its arrays; None if there are none."""
    for path in sorted(record.samples.glob("step-*.npz"), reverse=True):
        step = int(path.stem.removeprefix("step-"))
        try:
            kept = record.read_samples(step)
        except DamagedFile:
            continue
        if kept is not None and len(kept["images"]):
            return step, kept
    return 0, None


def _picture(
    step: int, kept: dict[str, NDArray[Any]], allowance: int
) -> tuple[int, dict[str, Any]]:
    """Return the size of a picture in bytes, and the picture with its labels."""
    images = kept["images"].astype(np.uint8)
    side, content = next(_encodings(images, allowance))
    count = min(side * side, len(images))
    return len(content), {
        "image": f"data:image/webp;base64,{base64.b64encode(content).decode()}",
        "step": step,
        "side": side,
        "rows": -(-count // side),
        "pixels": images.shape[-1],
        "labels": _points(kept["labels"][:count]),
        "read": _points(kept["readings"][:count]),
    }


def _encodings(images: Images, allowance: int) -> Iterator[tuple[int, bytes]]:
    """Yield the best encoding within the allowance, or else the smallest one."""
    import cv2  # noqa: PLC0415 - takes 0.2 s

    smallest: tuple[int, bytes] | None = None
    sides = [side for side in SIDES if side**2 <= len(images)] or [SIDES[-1]]
    for side in sides:
        for quality in (_LOSSLESS, _LOSSY):
            settings = [cv2.IMWRITE_WEBP_QUALITY, quality]
            whole, encoded = cv2.imencode(".webp", mosaic(images, side), settings)
            assert whole
            smallest = side, encoded.tobytes()
            if len(smallest[1]) <= allowance:
                yield smallest
    assert smallest is not None
    yield smallest


def mosaic(images: Images, side: int) -> Images:
    """Return images side by side without gaps, row by row; empty places are white.

    Args:
        images: Shape (K, N, N).
        side: Images along a row.

    Returns:
        Shape (rows * N, side * N), with as many rows as the first side * side images fill.
    """
    shown = images[: side * side]
    n, rows = images.shape[-1], -(-len(shown) // side)
    cells = np.full((rows * side, n, n), 255, dtype=np.uint8)
    cells[: len(shown)] = shown
    return cells.reshape(rows, side, n, n).swapaxes(1, 2).reshape(rows * n, side * n)


def _points(labels: NDArray[Any]) -> list[list[float] | None]:
    """Return labels with two digits after the point; None for those that could not be read."""
    return [
        [round(float(x), 2), round(float(y), 2)] if np.isfinite([x, y]).all() else None
        for x, y in labels
    ]
