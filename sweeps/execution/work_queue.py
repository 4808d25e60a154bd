"""The work queue of a sweep: packs of trials that wait for a worker, and outcomes of trials.

The queue runs as an actor in its own process and serves all workers. This module does not use Ray.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from factorlab.provenance.sources import Sources, explain, on_disk

Outcome = Literal["done", "failed", "locked", "io_error"]
"""How a trial ended in this sweep: `locked` if another process trains it, `io_error` if its record
cannot be read or written."""


@dataclass(frozen=True)
class Task:
    """A trial to train."""

    key: str
    settings: dict[str, Any]
    """Settings of the run as plain values."""

    runs: str
    """Path of the runs folder."""


@dataclass(frozen=True)
class RunProgress:
    """Progress of a trial."""

    key: str
    step: int
    steps: int
    accuracy: float | None


@dataclass(frozen=True)
class Ended:
    """A trial that will not be trained further in this sweep."""

    key: str
    outcome: Outcome

    accuracy: float | None = None
    reason: str | None = None
    """Error message if the outcome is `io_error`."""


@dataclass
class Outcomes:
    """How the trials ended, by key."""

    ended: dict[str, Outcome] = field(default_factory=dict)

    io_errors: dict[str, str] = field(default_factory=dict)
    """Error messages of trials whose record could not be read or written."""

    errors: dict[str, str] = field(default_factory=dict)
    """Causes of death of the workers of a trial that was given up. They are not in its record."""

    broken: dict[str, str] = field(default_factory=dict)
    """Why a worker could not train, by worker. Other workers, if any, took its trials."""

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
            later.interrupted,
            later.lost,
        )


Pack = tuple[Task, ...]
"""Trials that one worker trains together."""


class WorkQueue:
    """Hands out packs in order. Trials are handed out again until they end or are given up.

    Args:
        packs: Packs to train, in starting order.
        restarts: Maximum number of restarts of a trial whose worker died, and of consecutive
            failed starts of a worker.
        sources: Source files that the driver imported.
    """

    def __init__(self, packs: Sequence[Pack], restarts: int, sources: Sources) -> None:
        self._sources, self._begun = sources, False
        self._waiting = deque(packs)
        self._starts: Counter[str] = Counter()  # since the worker last took a pack
        self._held: dict[str, Pack] = {}
        self._deaths: Counter[str] = Counter()
        self._restarts = restarts
        self._ended: dict[str, Ended] = {}

    def start(self, worker: str) -> bool:
        """Return whether a worker should try to start. False after too many failed starts."""
        self._starts[worker] += 1
        return self._starts[worker] <= self._restarts + 1

    def admit(self, theirs: Sources, who: str) -> str | None:
        """Return why a worker may not train, or None if it may.

        Until the first pack is handed out, workers must have imported the same source files as the
        driver. Later, a replacement worker may have imported newer files, if they are those on
        disk. The records note the change and the sweep continues.

        Args:
            theirs: Source files that the worker imported.
            who: Description of the worker for the message.
        """
        reason = explain(theirs, self._sources, who)
        if reason is None or not self._begun:
            return reason
        return reason if theirs.differences(on_disk(Path(self._sources.root))) else None

    def take(self, worker: str, ended: Sequence[Ended]) -> Pack:
        """Return the next pack for a worker; empty if none is waiting.

        Args:
            worker: The worker that asks. All trials of its previous pack have ended.
            ended: Outcomes of the trials of its previous pack.
        """
        del self._starts[worker]
        self._ended |= {trial.key: trial for trial in ended}
        self._held[worker] = self._waiting.popleft() if self._waiting else ()
        self._begun = True
        return self._held[worker]

    def leave(self, worker: str, ended: Sequence[Ended]) -> None:
        """Return the unfinished trials of a worker that leaves without an error to the queue.

        They stay together as one pack, at the front of the queue.

        Args:
            worker: The worker that leaves.
            ended: Outcomes of the trials of its pack that have ended.
        """
        self._ended |= {trial.key: trial for trial in ended}
        rest = tuple(t for t in self._held.pop(worker, ()) if t.key not in self._ended)
        if rest:
            self._waiting.appendleft(rest)

    def died(self, worker: str, *, counts: bool) -> list[str]:
        """Return the unfinished trials of a dead worker to the queue, or give them up.

        If several trials were training together, they return as separate packs, and the death
        counts for none of them. This way one bad trial cannot take down the others of its pack.

        Args:
            worker: The worker that died.
            counts: Whether the death counts, because the trials or the worker may have caused it.

        Returns:
            The keys of the trials that are given up.
        """
        if not counts:
            self._starts[worker] -= 1
        rest = tuple(t for t in self._held.pop(worker, ()) if t.key not in self._ended)
        if counts and len(rest) > 1:
            self._waiting.extendleft((task,) for task in reversed(rest))
            return []
        self._deaths.update(task.key for task in rest if counts)
        if any(self._deaths[task.key] > self._restarts for task in rest):
            return [task.key for task in rest]
        if rest:
            self._waiting.appendleft(rest)
        return []

    def ended(self) -> list[Ended]:
        """Return all trials that have ended."""
        return list(self._ended.values())
