"""Interface for progress reports during training, implemented by the live view for example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from sweeps.execution.outcomes import Outcome

if TYPE_CHECKING:
    from analysis.scaling.threshold_search import Finding


@dataclass(frozen=True)
class KnownCrossing:
    """What a threshold search knows of one crossing."""

    text: str
    """A sentence with its interval."""

    masses: Sequence[float]
    """Probability that it lies in each of some equal parts of its range."""

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Return what a search has found."""
        return cls(str(finding), finding.masses)


class SweepListener(Protocol):
    """Receives the progress of a sweep's trials. All calls come from the same thread."""

    def started(self, key: str, name: str) -> None:
        """Handle a trial that starts training, from scratch or from its last checkpoint.

        Args:
            key: Key of the trial.
            name: Readable name of the trial.
        """
        ...

    def progressed(
        self,
        key: str,
        step: int,
        steps: int,
        accuracy: float | None,
        loss: float | None = None,
    ) -> None:
        """Handle progress of a trial.

        Args:
            key: Key of the trial.
            step: Number of optimizer steps done.
            steps: Total number of optimizer steps.
            accuracy: Accuracy at the last evaluation, in [0, 1]; None before the first.
            loss: Mean loss at the last line of the journal; None before the first.
        """
        ...

    def stopped(self, key: str) -> None:
        """Handle a trial whose worker died or left and that waits for another worker."""
        ...

    def worker_died(self, reason: str) -> None:
        """Handle the death of a worker.

        Args:
            reason: Its cause in one line.
        """
        ...

    def worker_refused(self, reason: str) -> None:
        """Handle a worker that cannot train any trial and gets no further one.

        Args:
            reason: Why, in one line.
        """
        ...

    def no_worker_yet(self, seconds: float) -> None:
        """Handle that no worker has started for a long time. It may still start.

        Args:
            seconds: Since when the sweep waits.
        """
        ...

    def stopping(self) -> None:
        """Handle that the user asked for the end of the sweep; this runs in a signal handler."""
        ...

    def narrowed(self, crossings: Sequence[KnownCrossing]) -> None:
        """Handle what a threshold search knows of all crossings after a trial has ended."""
        ...

    def ended(self, key: str, outcome: Outcome, accuracy: float | None = None) -> None:
        """Handle a trial that will not be trained further in this sweep.

        Args:
            key: Key of the trial.
            outcome: How the trial ended.
            accuracy: Accuracy at the last evaluation, in [0, 1]; None if unknown.
        """
        ...
