"""The work of a sweep: packs of trials that wait for a worker, and what became of each trial.

One object of it lives in a process of its own, which all workers ask; it knows nothing of Ray.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from factorlab.provenance.sources import Sources, explain, on_disk

Outcome = Literal["done", "failed", "locked", "io_error"]
"""How a trial ended in this sweep: `locked` when another process trains it, `io_error` when its
record cannot be read or written."""


@dataclass(frozen=True)
class Task:
    """A trial to train."""

    key: str
    settings: dict[str, Any]
    """As plain values."""

    runs: str
    """Path of the runs folder."""


@dataclass(frozen=True)
class RunProgress:
    """How far a trial is."""

    key: str
    step: int
    steps: int
    accuracy: float | None


@dataclass(frozen=True)
class Ended:
    """A trial that needs no more training in this sweep."""

    key: str
    outcome: Outcome

    accuracy: float | None = None
    reason: str | None = None
    """Of what was refused."""


@dataclass
class Outcomes:
    """How the trials ended, by key."""

    ended: dict[str, Outcome] = field(default_factory=dict)

    io_errors: dict[str, str] = field(default_factory=dict)
    """What of a trial's record cannot be read or written."""

    errors: dict[str, str] = field(default_factory=dict)
    """Why a trial's workers died, when they died too often; its record does not know."""

    broken: dict[str, str] = field(default_factory=dict)
    """Worker that could train nothing to the reason; others took its trials, if there were any."""

    interrupted: bool = False
    """The user stopped it before all trials were over."""

    lost: str | None = None
    """Why Ray does not work any more; its workers may still train."""

    def then(self, later: Outcomes) -> Outcomes:
        """Return how they ended after a later round, too."""
        return Outcomes(
            self.ended | later.ended,
            self.io_errors | later.io_errors,
            self.errors | later.errors,
            self.broken | later.broken,
            later.interrupted,
            later.lost,
        )


Pack = tuple[Task, ...]
"""Trials that a worker takes together."""


class WorkQueue:
    """Hands out packs in their order, each until all its trials have ended or it is given up.

    Args:
        packs: what to train, the first to start first.
        restarts: how often a trial is handed out again when its worker died, and how often a
            worker may fail to start, one time after another.
        sources: the code that the driver imported.
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
        """Return whether a worker should start, again if it died; False where it never can."""
        self._starts[worker] += 1
        return self._starts[worker] <= self._restarts + 1

    def admit(self, theirs: Sources, who: str) -> str | None:
        """Return why a worker may not train, None if it may.

        All code is the same when a sweep starts. Later a worker is replaced by one that imports
        what is then on the disk: the records say so, and the sweep continues.

        Args:
            theirs: the code that the worker imported.
            who: the worker, for the message.
        """
        reason = explain(theirs, self._sources, who)
        if reason is None or not self._begun:
            return reason
        return reason if theirs.differences(on_disk(Path(self._sources.root))) else None

    def take(self, worker: str, ended: Sequence[Ended]) -> Pack:
        """Return a worker's next pack, empty when none waits.

        Args:
            worker: who asks; what it held is over.
            ended: of the trials it held.
        """
        del self._starts[worker]
        self._ended |= {trial.key: trial for trial in ended}
        self._held[worker] = self._waiting.popleft() if self._waiting else ()
        self._begun = True
        return self._held[worker]

    def leave(self, worker: str, ended: Sequence[Ended]) -> None:
        """Put back, together, what a worker holds that goes without fault.

        Args:
            worker: who goes.
            ended: of the trials it holds.
        """
        self._ended |= {trial.key: trial for trial in ended}
        rest = tuple(t for t in self._held.pop(worker, ()) if t.key not in self._ended)
        if rest:
            self._waiting.appendleft(rest)

    def died(self, worker: str, *, counts: bool) -> list[str]:
        """Put back what a worker held; returns the keys that are given up instead.

        Trials that died together come back one by one, and the death counts for none of them, so
        that one that kills its workers is not the others' end.

        Args:
            worker: the one that died.
            counts: the death may be the trials' fault, or the worker's.
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
        """Return all trials that ended."""
        return list(self._ended.values())
