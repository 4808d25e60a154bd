"""What the live view shows at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factorlab.formatting import duration
from sweeps.execution.listener import KnownCrossing
from sweeps.reporting.live.sketch import Sketch


@dataclass(frozen=True)
class RunningTrial:
    """A trial in training."""

    name: str
    step: int
    steps: int
    loss: float | None = None
    """Mean loss since the line of the journal before."""

    accuracy: float | None = None
    """Accuracy at the last evaluation, in [0, 1]."""

    speed: float | None = None
    """Steps per second."""


@dataclass(frozen=True)
class Snapshot:
    """Progress of a sweep at one moment."""

    title: str
    share: float
    """Share of the work that is done, from 0 to 1. Trials count by the time that they take."""

    done: int
    total: int
    """Numbers of trials."""

    running: Sequence[RunningTrial] = ()
    failed: int = 0
    stopped_early: int = 0
    skipped: int = 0
    """Trials that this command trains no further, since their workers died or files are refused."""

    slots: int | None = None
    """Trials or packs that can train at the same time; None if unknown."""

    elapsed: float | None = None
    """Seconds since the start of the command."""

    left: float | None = None
    """Seconds left; None if unknown."""

    ended: Sequence[str] = ()
    """What ended last, the newest first."""

    failures: Sequence[str] = ()
    """Trials that failed, with their reasons."""

    crossings: Sequence[KnownCrossing] = ()
    """What a threshold search knows."""

    sketch: Sketch | None = None
    """Accuracy against an axis."""

    message: str = ""
    problem: str | None = None
    """A problem outside of training, such as a store that does not answer."""

    def line(self) -> str:
        """Return the progress in one line."""
        parts = [
            f"{self.title}: {self.done} of {self.total} done",
            f"{len(self.running)} running",
            f"{self.failed} failed",
        ]
        if self.stopped_early:
            parts.append(f"{self.stopped_early} stopped early")
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        if self.done + self.failed + self.stopped_early + self.skipped < self.total:
            parts.append(f"{percent(self.share)} of the work")
            if self.left is not None:
                parts.append(f"about {duration(self.left)} left")
        return ", ".join(parts)


def percent(share: float) -> str:
    """Return a share as a whole percentage; 100 % only when nothing is left."""
    return f"{int(100 * share + 1e-9)} %"
