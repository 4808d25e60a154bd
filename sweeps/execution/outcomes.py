"""Messages of a worker about its trials, and how the trials of a sweep ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["done", "failed", "stopped", "locked", "io_error", "given_up"]
"""How a trial ended in this sweep: `failed` if a loss or metric is not finite, `stopped` by a
scheduler before its last step, `locked` if another process trains it, `io_error` if its record
cannot be read or written, `given_up` if its workers died too often."""


@dataclass(frozen=True)
class RunProgress:
    """Progress of a trial."""

    key: str
    step: int
    steps: int
    accuracy: float | None
    metrics: dict[str, float] | None = None
    """Metrics of the evaluation at this step, None if there was none."""

    loss: float | None = None
    """Mean loss at the last line of the journal; None before the first."""


@dataclass(frozen=True)
class Ended:
    """A trial that will not be trained further in this sweep."""

    key: str
    outcome: Outcome

    accuracy: float | None = None
    reason: str | None = None
    """Error message if the outcome is `io_error`."""


@dataclass(frozen=True)
class Report:
    """What a worker tells the driver about its pack."""

    ended: tuple[Ended, ...] = ()
    """Trials that ended since the last report."""

    at: tuple[RunProgress, ...] = ()
    """Progress of trials that train."""

    broken: str = ""
    """Why the worker cannot train any trial, or an empty string."""


@dataclass
class Outcomes:
    """How the trials ended, by key."""

    ended: dict[str, Outcome] = field(default_factory=dict)

    io_errors: dict[str, str] = field(default_factory=dict)
    """Error messages of trials whose record could not be read or written."""

    errors: dict[str, str] = field(default_factory=dict)
    """Causes of death of the workers of a trial that was given up. They are not in its record."""

    broken: dict[str, str] = field(default_factory=dict)
    """Why a worker cannot train, by its Tune trial. It keeps its slot for as long as it lives."""

    search: str | None = None
    """Why the search of the sweep picks no further trial; None without a search, or if it would."""

    refused: str | None = None
    """A mistake in the experiment file that showed only in a result, or None."""

    interrupted: bool = False
    """Whether the user stopped the sweep before all trials had ended."""

    lost: str | None = None
    """Why Ray stopped working, or None. Its workers may still be training."""

    def then(self, later: Outcomes) -> Outcomes:
        """Return the outcomes merged with those of a later round, which take precedence."""
        return Outcomes(
            self.ended | later.ended,
            self.io_errors | later.io_errors,
            self.errors | later.errors,
            self.broken | later.broken,
            later.search,
            later.refused,
            later.interrupted,
            later.lost,
        )
