"""Progress display of a running sweep: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from factorlab.formatting import duration
from sweeps.execution.listener import KnownCrossing
from sweeps.execution.outcomes import Outcome
from sweeps.reporting.live.layout import View
from sweeps.reporting.live.sketch import Sketch
from sweeps.reporting.live.snapshot import RunningTrial, Snapshot
from sweeps.reporting.live.time_left import TimeLeft

PLAIN_EVERY = 15.0
"""Minimum seconds between progress lines if the output is not a terminal."""

MOST_ENDED = 10
"""Trials that the display remembers after they ended."""

_OUTCOMES: dict[Outcome, str] = {
    "done": "done",
    "failed": "failed",
    "stopped": "stopped early",
    "locked": "trained by another process",
    "io_error": "skipped, since its record cannot be read or written",
    "given_up": "given up, since its workers died",
}


@dataclass
class _Running:
    """A trial in training."""

    name: str
    step: int = 0
    steps: int = 1
    loss: float | None = None
    accuracy: float | None = None
    first: tuple[float, int] | None = None
    """Time and step of the first report, for the speed."""

    speed: float | None = None

    def shown(self) -> RunningTrial:
        """Return what the view shows of it."""
        return RunningTrial(self.name, self.step, self.steps, self.loss, self.accuracy, self.speed)


@dataclass(frozen=True)
class SweepFacts:
    """What the display knows of a sweep before it starts."""

    total: int
    """Number of trials."""

    done: int
    """Number of trials that are done."""

    seconds: Mapping[str, float]
    """Estimated seconds of each pending trial, by key."""

    slots: int
    """Number of trials or packs that train in parallel."""

    before: float = 0.0
    """Estimated seconds of the work that is done."""

    resumed: Collection[str] = ()
    """Keys of pending trials that go on from a checkpoint."""

    sketch: Sketch | None = None
    """Accuracy of the trials that are done, against an axis; None to show no sketch."""

    places: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """Where each trial lies in the sketch, by key: its value on the axis, and its group."""


class SweepDisplay:
    """Displays the progress of a sweep's trials. Implements `SweepListener`.

    Args:
        title: Name of the sweep.
        facts: What is known before the start.
        problem: Returns the current problem outside of training, or None.
        reason: Returns why a trial failed, by its key.
        log: File with Ray's own messages.
        console: Console to print to; standard error, since standard output is for results.
        quiet: Whether to print problems alone.
    """

    def __init__(
        self,
        title: str,
        facts: SweepFacts,
        *,
        problem: Callable[[], str | None],
        log: Path,
        console: Console,
        reason: Callable[[str], str | None] = lambda _: None,
        quiet: bool = False,
    ) -> None:
        self.title, self.total, self.done, self.failed = title, facts.total, facts.done, 0
        self.stopped_early = self.skipped = 0
        self._problem, self._log, self._reason = problem, log, reason
        self._deaths: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self.message, self._stops = "starting workers", False
        self._running: dict[str, _Running] = {}
        self._ended: deque[str] = deque(maxlen=MOST_ENDED)
        self._failures: list[str] = []
        self._crossings: list[KnownCrossing] = []
        self._sketch, self._places = facts.sketch, dict(facts.places)
        self._slots = facts.slots
        self._time_left = TimeLeft(facts.seconds, facts.slots, facts.resumed, facts.before)
        self._start = time.monotonic()
        self._last_line = 0.0
        self._console, self._quiet = console, quiet
        self._shows = console.is_terminal and not quiet
        self._live = Live(
            self,
            console=console,
            refresh_per_second=2,  # with ten thousand trials, a refresh takes 20 ms
            transient=False,
            redirect_stdout=False,  # Ray's messages go there, and from there to a file
        )

    def __enter__(self) -> Self:
        if self._shows:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shows:
            self._live.stop()
        elif not self._quiet:
            self._say(self.snapshot().line())
        for what, reasons in (("died", self._deaths), ("could not train", self._refusals)):
            for reason, times in reasons.items():
                if times > 1:
                    self._say(f"{times} workers {what}: {reason}")

    def started(self, key: str, name: str) -> None:
        """Record that a trial started training."""
        self.message = self.message if self._stops else ""  # the workers have started
        self._running[key] = _Running(name)
        self._time_left.started(key, time.monotonic())

    def picked(self, key: str, place: tuple[float, str] | None = None) -> None:
        """Record that a search picked a trial, in the place of one of its guesses.

        Args:
            key: Key of the trial.
            place: Where it lies in the sketch: its value on the axis, and its group.
        """
        if place is not None:
            self._places[key] = place
        if not self._time_left.picked(key):
            self.total += 1  # more than were expected

    def progressed(
        self,
        key: str,
        step: int,
        steps: int,
        accuracy: float | None,
        loss: float | None = None,
    ) -> None:
        """Record the progress of a trial."""
        now, trial = time.monotonic(), self._running.get(key)
        if trial is not None:
            trial.step, trial.steps, trial.accuracy = step, steps, accuracy
            trial.loss = trial.loss if loss is None else loss
            if trial.first is None or step < trial.first[1]:
                trial.first = now, step
            elif now > trial.first[0] and step > trial.first[1]:
                trial.speed = (step - trial.first[1]) / (now - trial.first[0])
        self._time_left.progressed(key, step, steps, now)
        self._plain()

    def stopped(self, key: str) -> None:
        """Record that a trial stopped training and waits for another worker."""
        self._running.pop(key, None)
        self._time_left.stopped(key)

    def worker_died(self, reason: str) -> None:
        """Print the first death of a worker for each cause."""
        reason = reason.removesuffix(".")
        self._deaths[reason] += 1
        if self._deaths[reason] == 1:
            self._say(f"a worker died: {reason}; details: {self._log}")

    def worker_refused(self, reason: str) -> None:
        """Print the first refusal of a worker for each cause."""
        self._refusals[reason] += 1
        if self._refusals[reason] == 1:
            self._say(f"a worker cannot train: {reason}")

    def no_worker_yet(self, seconds: float) -> None:
        """Print that no worker has started."""
        self._say(
            f"no worker has started for {duration(seconds)}; on a cluster, machines may still "
            "start, or Ray cannot start Python on them (the path of the environment must have no "
            "space); raylet.out and raylet.err in the logs of Ray on the machines say why"
        )

    def stopping(self) -> None:
        """Say that the sweep stops at the user's request."""
        self._stops = True
        self.message = "stopping: workers save checkpoints; Ctrl-C again ends them at once"
        if not self._shows:
            self._say(self.message)

    def narrowed(self, crossings: Sequence[KnownCrossing]) -> None:
        """Show what a threshold search knows; print what has changed if there is no live view."""
        if not self._shows and not self._quiet:
            said = {known.text for known in self._crossings}
            for known in crossings:
                if known.text not in said:
                    self._say(known.text)
        self._crossings = list(crossings)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def ended(self, key: str, outcome: Outcome, accuracy: float | None = None) -> None:
        """Record the outcome of a trial."""
        trial = self._running.pop(key, None)
        self._time_left.ended(key, time.monotonic(), trained=outcome == "done")
        if trial is not None:
            parts = [] if outcome == "done" and accuracy is not None else [_OUTCOMES[outcome]]
            parts += [] if accuracy is None else [f"accuracy {accuracy:.0%}"]
            line = f"{trial.name}: {', '.join(parts)}"
            self._ended.appendleft(line)
            if outcome == "failed":
                self._failures.append(f"{trial.name}: {self._reason(key) or 'unknown'}")
            if not self._shows and not self._quiet:
                self._say(line)
        if outcome == "done" and accuracy is not None:
            self._add_to_sketch(key, accuracy)
        self.done += outcome == "done"
        self.failed += outcome == "failed"
        self.stopped_early += outcome == "stopped"
        self.skipped += outcome in ("io_error", "given_up")
        self._plain()

    def _add_to_sketch(self, key: str, accuracy: float) -> None:
        place = self._places.get(key)
        if self._sketch is not None and place is not None:
            self._sketch = self._sketch.with_point(place, accuracy)

    def snapshot(self) -> Snapshot:
        """Return what is known now."""
        return Snapshot(
            self.title,
            self._time_left.done,
            self.done,
            self.total,
            running=[trial.shown() for trial in list(self._running.values())],
            failed=self.failed,
            stopped_early=self.stopped_early,
            skipped=self.skipped,
            slots=self._slots,
            elapsed=time.monotonic() - self._start,
            left=self._time_left.seconds(),
            ended=list(self._ended),
            failures=list(self._failures),
            crossings=list(self._crossings),
            sketch=self._sketch,
            message=self.message,
            problem=self._problem(),
        )

    def _plain(self) -> None:
        """Print a progress line from time to time if the output is not a terminal."""
        recent = time.monotonic() - self._last_line < PLAIN_EVERY
        if self._shows or self._quiet or recent:
            return
        self._last_line = time.monotonic()
        self._say(self.snapshot().line())

    def __rich__(self) -> RenderableType:
        """Return the live view."""
        return View(self.snapshot())
