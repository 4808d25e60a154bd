"""Share of a sweep's work that is done, and the time that the rest takes."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

MEMORY = 0.15
"""Share of the whole time whose speed counts: what was done before counts less and less, by the
factor e for each such share. So the time left follows a machine that becomes slower, but not every
step."""

TRUST = 0.003
"""Share of the work that the estimate before the start counts for."""


@dataclass
class _Trial:
    seconds: float
    """Estimated seconds from the first step of this command to the end."""

    first: int | None = None
    """Step from which this command trains it; None before its first report."""

    share: float = 0.0
    """Share of the seconds that is done."""


class TimeLeft:
    """Follows the work of a sweep.

    Work is counted in estimated seconds. Speed is work per second that a slot is busy: at first 1,
    as estimated, and more and more as measured since the first step was taken.

    Args:
        seconds: Estimated seconds of each pending trial from where it goes on, by key.
        slots: Number of trials or packs that train in parallel.
        resumed: Keys of trials that go on from a checkpoint. Their first report says from where.
        before: Estimated seconds of the work that was done before.
    """

    def __init__(
        self,
        seconds: Mapping[str, float],
        slots: int,
        resumed: Collection[str] = (),
        before: float = 0.0,
    ) -> None:
        self._trials = {key: _Trial(one) for key, one in seconds.items()}
        self._rest = sum(seconds.values())  # work that is left; summing it up is slow
        self._resumed = frozenset(resumed)
        self._running: set[str] = set()
        self._done, self._slots = 0.0, max(1, slots)
        self._before = before
        self._first: float | None = None  # time at which the first trial started
        self._last = 0.0  # time of the last report
        self._work, self._time = 0.0, 0.0  # work and seconds of busy slots, as remembered

    @property
    def done(self) -> float:
        """Share of the work that is done, from 0 to 1, the work done before included."""
        done = self._before + self._done
        return done / (done + self._rest) if self._trials and done + self._rest > 0 else 1.0

    def picked(self, key: str) -> bool:
        """Note that a search picked a trial, in the place of one of its guesses.

        Returns:
            Whether there was a guess left.
        """
        guess = next((one for one in self._trials if one.startswith("pick-")), None)
        if guess is not None:
            self._trials[key] = self._trials.pop(guess)
        elif self._trials:  # it is like the others
            typical = sum(one.seconds for one in self._trials.values()) / len(self._trials)
            self._trials[key] = _Trial(typical)
            self._rest += typical
        return guess is not None

    def started(self, key: str, now: float) -> None:
        """Note that a worker has begun with a trial; the time before the first does not count."""
        if self._first is None:
            self._first = self._last = now
        elif not self._running and now > self._last:  # nothing was trained meanwhile
            self._first += now - self._last
            self._last = now
        self._running.add(key)

    def stopped(self, key: str) -> None:
        """Note that a trial waits for another worker."""
        self._running.discard(key)

    def progressed(self, key: str, step: int, steps: int, now: float) -> None:
        """Note the step of a trial.

        Args:
            key: Key of the trial.
            step: Steps done.
            steps: Steps in total.
            now: Time in seconds.
        """
        trial = self._trials.get(key)
        if trial is None or steps <= 0:
            return
        if trial.first is None:
            self._begin(trial, step if key in self._resumed else 0, steps)
        assert trial.first is not None
        if step < trial.first:  # its worker died, and it goes on from an earlier checkpoint
            self._begin(trial, step, steps)
        share = (step - trial.first) / max(1, steps - trial.first)
        self._add((share - trial.share) * trial.seconds, now)
        trial.share = share

    def _begin(self, trial: _Trial, first: int, steps: int) -> None:
        """Set the step from which a trial is trained, and the seconds from there."""
        undone = trial.share * trial.seconds
        longer = 0.0
        if trial.first is not None:
            longer = trial.seconds * ((steps - first) / max(1, steps - trial.first) - 1)
        self._done, self._rest = self._done - undone, self._rest + undone + longer
        trial.seconds += longer
        trial.first, trial.share = first, 0.0

    def ended(self, key: str, now: float, *, trained: bool = True) -> None:
        """Note that a trial needs no more work.

        Args:
            key: Key of the trial.
            now: Time in seconds.
            trained: Whether it was trained to its end, and not, for example, stopped early or left
                to another process.
        """
        trial = self._trials.pop(key, None)
        if trial is not None:
            self._add((1 - trial.share) * trial.seconds, now, trained=trained)
        self._running.discard(key)

    def _add(self, work: float, now: float, *, trained: bool = True) -> None:
        """Count work that was done since the last report. What was lost or left was not quick."""
        self._done, self._rest = self._done + work, self._rest - work
        if self._first is None:
            return
        passed = now - self._last
        if passed > 0:
            whole = (now - self._first) * (self._done + self._rest)  # seconds, times work done
            fade = math.exp(-passed * self._done / (MEMORY * whole)) if whole > 0 else 1.0
            busy = passed * min(self._slots, max(1, len(self._running)))
            self._work, self._time = self._work * fade, self._time * fade + busy
            self._last = now
        self._work += max(0.0, work) if trained else 0.0

    def seconds(self) -> float:
        """Return the seconds until all trials are done."""
        trust = TRUST * (self._done + self._rest)
        speed = (self._work + trust) / (self._time + trust) if trust else 1.0
        return self._longest_slot() / speed

    def _longest_slot(self) -> float:
        """Return the work of the slot that ends last.

        Trials that run keep their slots, and the others come after them, the longest first.
        """
        parts = [
            (key not in self._running, -(1 - trial.share) * trial.seconds)
            for key, trial in self._trials.items()
        ]
        slots = [0.0] * self._slots
        for _, work in sorted(parts):
            heapq.heapreplace(slots, slots[0] - work)
        return max(slots)
