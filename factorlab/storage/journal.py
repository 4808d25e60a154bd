"""The journal: metrics of a run over its steps, as lines of JSON that are only appended.

Every line has a checksum, and every step is written once. A run resumed from an older checkpoint
computes the same numbers again and keeps the existing lines. Concurrent readers therefore never see
a point twice.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from factorlab.storage.files import canonical, naming, write_atomically

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """One line: the metrics of one step."""

    step: int
    """Optimizer steps done."""

    time: float
    """Time of writing, in seconds since the epoch."""

    metrics: dict[str, float]
    """Values by name."""


def _encode(point: Point) -> bytes:
    """Return the line of a point, with its checksum."""
    body = {"step": point.step, "time": point.time, "metrics": point.metrics}
    line = json.dumps({**body, "crc32": zlib.crc32(canonical(body))}, allow_nan=False)
    return line.encode("ascii") + b"\n"


def _decode(line: bytes) -> Point | None:
    """Return the point of a line, None if the line is damaged."""
    try:
        body = json.loads(line)
        checksum = body.pop("crc32")
        if zlib.crc32(canonical(body)) != checksum:
            return None
        return Point(body["step"], body["time"], body["metrics"])
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def read(path: Path, offset: int = 0) -> tuple[list[Point], int]:
    """Return the points of the intact lines from a byte offset on, and the offset after them.

    Reading stops at the first line that is incomplete or damaged, or whose step does not increase.
    """
    try:
        with path.open("rb") as file, naming(path):
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], offset
    points: list[Point] = []
    for line in content.splitlines(keepends=True):
        point = _decode(line) if line.endswith(b"\n") else None
        if point is None or (points and point.step <= points[-1].step):
            break
        points.append(point)
        offset += len(line)
    return points, offset


def read_after(path: Path, offset: int) -> tuple[list[Point], int, bool]:
    """Return the points that were added to a journal since it was read up to an offset.

    Args:
        path: Path of the journal.
        offset: Offset returned by an earlier call, or by `read`; 0 for all points.

    Returns:
        The points, the offset after them, and whether the given offset belongs to this journal. It
        does not if another file has replaced the journal.
    """
    size = path.stat().st_size if path.exists() else 0
    if size == offset:
        return [], size, True
    points, after = read(path, offset)
    return points, after, size > offset and (bool(points) or _ends_line(path, offset))


def _ends_line(path: Path, offset: int) -> bool:
    """Return whether a line of the file ends at an offset."""
    if offset == 0:
        return True
    with path.open("rb") as file:
        file.seek(offset - 1)
        return file.read(1) == b"\n"


class Journal:
    """A journal open for appending. Opening it cuts off everything from the first bad line on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        points, self.length = read(path)
        self._points = {point.step: point for point in points}
        if path.exists() and path.stat().st_size > self.length:
            os.truncate(path, self.length)

    @property
    def last_step(self) -> int:
        """The last step that was written, -1 before the first."""
        return max(self._points, default=-1)

    def at(self, step: int) -> Point | None:
        """Return the point of a step, None if there is none."""
        return self._points.get(step)

    def append(self, step: int, metrics: dict[str, float]) -> None:
        """Write the metrics of a step and sync them to disk, unless the step was written before."""
        if step <= self.last_step:
            return
        point = Point(step, time.time(), metrics)
        line = _encode(point)
        with self.path.open("ab") as file, naming(self.path):
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._points[step] = point
        self.length += len(line)

    def cut(self, offset: int) -> None:
        """Delete everything beyond an offset."""
        os.truncate(self.path, offset)
        points, self.length = read(self.path)
        self._points = {point.step: point for point in points}

    def repair(self) -> None:
        """Rewrite the file if a faulty disk changed what was read or appended."""
        content = b"".join(_encode(self._points[step]) for step in sorted(self._points))
        if not self.path.exists() or self.path.read_bytes() != content:
            log.warning("%s was damaged during training; rewriting it", self.path)
            write_atomically(self.path, content)
            self.length = len(content)
