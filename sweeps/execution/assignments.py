"""Which packs wait for a worker, and which Tune trial trains which pack. Does not use Ray."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.planning.plan import PlannedTrial


@dataclass(frozen=True)
class Task:
    """A trial to train."""

    key: str

    settings: str
    """Settings of the run as JSON. Tune copies a trial's configuration many times, and copying a
    string is free."""

    device: str = "auto"
    """Device of the run, as in its settings."""


Pack = tuple[Task, ...]
"""Trials that one worker trains together. One Tune trial is one pack."""


def tasks(trials: Sequence[PlannedTrial]) -> Pack:
    """Return the pack of some planned trials."""
    return tuple(Task(t.key, json.dumps(t.settings), t.run.device) for t in trials)


class Assignments:
    """Assigns packs to Tune trials in order. A trial stays in one pack or another until it ends.

    Args:
        packs: Packs to train, in starting order.
    """

    expects_more = False
    """Whether further packs may be added."""

    def __init__(self, packs: Sequence[Pack]) -> None:
        self._waiting = deque(packs)
        self._assigned: dict[str, Pack] = {}
        self._open = {task.key for pack in packs for task in pack}

    @property
    def over(self) -> bool:
        """Whether all trials have ended and no further ones are expected."""
        return not self._open and not self.expects_more

    def add(self, pack: Pack) -> None:
        """Add a pack behind all that are waiting."""
        self._waiting.append(pack)
        self._open |= {task.key for task in pack}

    @property
    def active(self) -> int:
        """Number of Tune trials that have a pack."""
        return len(self._assigned)

    def assign(self, tune_trial: str) -> Pack:
        """Assign the next pack to a Tune trial. Return an empty pack if none is waiting."""
        pack = self._waiting.popleft() if self._waiting else ()
        if pack:
            self._assigned[tune_trial] = pack
        return pack

    def left(self, tune_trial: str) -> Pack:
        """Return the trials of a Tune trial's pack that have not ended."""
        return tuple(t for t in self._assigned.get(tune_trial, ()) if t.key in self._open)

    def end(self, key: str) -> bool:
        """Record that a trial ended. Return False if it had ended before."""
        if key not in self._open:
            return False
        self._open.remove(key)
        return True

    def give_back(self, tune_trial: str, *, together: bool = True) -> None:
        """Put the trials of a Tune trial that have not ended in front of all waiting packs.

        Args:
            tune_trial: Id of the Tune trial, which trains none of them any more.
            together: Whether they stay one pack. A pack whose worker died is trained one by one, so
                that one bad trial cannot take down the others.
        """
        left = self.left(tune_trial)
        self._assigned.pop(tune_trial, None)
        if left:
            packs = (left,) if together else tuple((task,) for task in left)
            self._waiting.extendleft(reversed(packs))
