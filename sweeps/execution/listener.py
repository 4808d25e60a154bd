"""What execution reports while trials train; the terminal's live view is one listener."""

from __future__ import annotations

from typing import Protocol

from sweeps.execution.work_queue import Outcome


class SweepListener(Protocol):
    """Hears of every trial of a sweep. Calls come from one thread."""

    def started(self, key: str, name: str) -> None:
        """A trial trains, from its start or from its last checkpoint.

        Args:
            key: of the trial.
            name: its values on the axes, for people.
        """
        ...

    def progressed(self, key: str, step: int, steps: int, accuracy: float | None) -> None:
        """A trial has come further.

        Args:
            key: of the trial.
            step: optimizer steps done.
            steps: optimizer steps in all.
            accuracy: of its last evaluation, in [0, 1]; None before the first.
        """
        ...

    def stopped(self, key: str) -> None:
        """A trial does not train any more and waits for another worker."""
        ...

    def ended(self, key: str, outcome: Outcome, accuracy: float | None = None) -> None:
        """A trial needs no more training in this sweep, or cannot have it."""
        ...
