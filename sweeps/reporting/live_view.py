"""Progress display of a running sweep: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from factorlab.formatting import duration, first_of
from sweeps.execution.outcomes import Outcome

PLAIN_EVERY = 15.0
"""Minimum seconds between progress lines if the output is not a terminal."""


_OUTCOMES: dict[Outcome, str] = {
    "done": "done",
    "failed": "failed",
    "stopped": "stopped early",
    "locked": "locked",
    "io_error": "io_error",
}


@dataclass
class Running:
    """A trial in training."""

    name: str
    step: int = 0
    steps: int = 1
    accuracy: float | None = None


class SweepDisplay:
    """Displays the progress of a sweep's trials. Implements `SweepListener`.

    Args:
        title: Name of the sweep.
        total: Number of trials of the sweep.
        done: Number of trials that were done before the sweep started.
        seconds: Estimated seconds of each pending trial, by key.
        slots: Number of trials or packs that train in parallel.
        problem: Returns the current problem outside of training, or None.
        log: File with Ray's own messages.
        console: Console to print to; standard error, since standard output is for results.
    """

    def __init__(
        self,
        title: str,
        *,
        total: int,
        done: int,
        seconds: dict[str, float],
        slots: int,
        problem: Callable[[], str | None],
        log: Path,
        console: Console,
    ) -> None:
        self.title, self.total, self.done, self.failed = title, total, done, 0
        self.stopped_early = 0
        self._problem, self._log = problem, log
        self._deaths: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._before = done
        self.message = "starting workers"
        self.running: dict[str, Running] = {}
        self._findings: list[str] = []
        self._seconds = dict(seconds)
        self._slots = slots
        self._work = sum(seconds.values())
        self._start = time.monotonic()
        self._last_line = 0.0
        self._console = console
        self._live = Live(
            self,
            console=console,
            refresh_per_second=4,
            transient=False,
            redirect_stdout=False,  # Ray's messages go there, and from there to a file
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._say(self._line())
        for what, reasons in (("died", self._deaths), ("could not train", self._refusals)):
            for reason, times in reasons.items():
                if times > 1:
                    self._say(f"{times} workers {what}: {reason}")

    def started(self, key: str, name: str) -> None:
        """Record that a trial started training."""
        if not self.running and not self.done + self.failed - self._before:
            self.message = ""  # the workers have started
        self.running[key] = Running(name)

    def picked(self, key: str) -> None:
        """Record that a search picked a trial, in the place of one of its guesses."""
        guess = next((one for one in self._seconds if one.startswith("pick-")), None)
        if guess is None:
            self.total += 1  # more than were expected
        else:
            self._seconds[key] = self._seconds.pop(guess)

    def progressed(self, key: str, step: int, steps: int, accuracy: float | None) -> None:
        """Record the progress of a trial."""
        trial = self.running.get(key)
        if trial is not None:
            trial.step, trial.steps, trial.accuracy = step, steps, accuracy
        self._plain()

    def stopped(self, key: str) -> None:
        """Record that a trial stopped training and waits for another worker."""
        self.running.pop(key, None)

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

    def narrowed(self, findings: Sequence[str]) -> None:
        """Show what a threshold search knows; print what has changed if there is no live view."""
        if not self._console.is_terminal:
            for sentence in findings:
                if sentence not in self._findings:
                    self._say(sentence)
        self._findings = list(findings)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def ended(self, key: str, outcome: Outcome, accuracy: float | None = None) -> None:
        """Record the outcome of a trial."""
        trial = self.running.pop(key, None)
        self._seconds.pop(key, None)
        if trial is not None:
            parts = [] if outcome == "done" and accuracy is not None else [_OUTCOMES[outcome]]
            parts += [] if accuracy is None else [f"accuracy {accuracy:.0%}"]
            shown = ", ".join(parts)
            self.message = f"last: {trial.name}: {shown}"
            if not self._console.is_terminal:
                self._say(f"{trial.name}: {shown}")
        self.done += outcome == "done"
        self.failed += outcome == "failed"
        self.stopped_early += outcome == "stopped"
        self._plain()

    def seconds_left(self) -> float:
        """Return the estimated seconds left, corrected by the speed so far."""
        left = sum(
            seconds * (1 - self.running[key].step / self.running[key].steps)
            if key in self.running
            else seconds
            for key, seconds in self._seconds.items()
        )
        elapsed, finished = time.monotonic() - self._start, self._work - left
        # Before a tenth is done, the start of the workers would dominate the correction.
        if finished > 0.1 * self._work:
            return left * elapsed / finished
        return left / self._slots

    def _line(self) -> str:
        """Return the progress of the sweep in one line."""
        parts = [
            f"{self.title}: {self.done} of {self.total} done",
            f"{len(self.running)} running",
            f"{self.failed} failed",
        ]
        if self.stopped_early:
            parts.append(f"{self.stopped_early} stopped early")
        if self.done + self.failed + self.stopped_early < self.total:
            parts.append(f"about {duration(self.seconds_left())} left")
        return ", ".join(parts)

    def _plain(self) -> None:
        """Print a progress line from time to time if the output is not a terminal."""
        if self._console.is_terminal or time.monotonic() - self._last_line < PLAIN_EVERY:
            return
        self._last_line = time.monotonic()
        self._say(self._line())

    def __rich__(self) -> RenderableType:
        """Return the live view."""
        table = Table.grid(padding=(0, 2))
        for trial in list(self.running.values()):
            accuracy = "" if trial.accuracy is None else f"accuracy {trial.accuracy:.0%}"
            table.add_row(
                trial.name,
                ProgressBar(total=trial.steps, completed=trial.step, width=24),
                f"step {trial.step} of {trial.steps}",
                accuracy,
            )
        whole = Table.grid()  # a bare progress bar would not end its line
        whole.add_row(ProgressBar(total=self.total, completed=self.done, width=60))
        parts: list[RenderableType] = [Text(self._line(), style="bold"), whole, table]
        parts += [Text(sentence) for sentence in first_of(self._findings)]
        if self.message:
            parts.append(Text(self.message, style="dim"))
        problem = self._problem()
        if problem:
            parts.append(Text(problem, style="yellow"))
        return Group(*parts)
