"""The live view on a screen, from wide terminals to narrow ones."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from factorlab.formatting import duration, first_of
from sweeps.reporting.live.sketch import strip
from sweeps.reporting.live.snapshot import RunningTrial, Snapshot, percent

NARROW = 90
"""Columns below which trials have no bar and no speed."""

_OTHER_LINES = 6  # that are always there: the header, the bar and what is around them
_SHOWN = 3  # trials that ended last


class View:
    """A snapshot as one screen.

    Args:
        snapshot: What to show.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._of = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the parts that fit on the screen, the most important first."""
        shown, width = self._of, options.max_width
        height = console.height if console.is_terminal else 100
        parts: list[RenderableType] = [Text(self._header(), style="bold"), self._bar(width)]
        below: list[RenderableType] = [Text(line) for line in self._crossings(width)]
        below += [Text(f"failed: {line}", style="red") for line in first_of(shown.failures)]
        below += [Text(f"done: {line}", style="dim") for line in shown.ended[:_SHOWN]]
        if shown.message:
            below.append(Text(shown.message, style="dim"))
        if shown.problem:
            below.append(Text(shown.problem, style="yellow"))
        room = max(3, height - _OTHER_LINES - len(below))
        parts.append(self._trials(room, narrow=width < NARROW))
        sketch = [] if shown.sketch is None else shown.sketch.lines()
        taken = _OTHER_LINES + len(below) + min(room, len(shown.running))
        if sketch and taken + len(sketch) <= height and width >= max(map(len, sketch)):
            below.append(Text("\n".join(sketch)))
        yield Group(*parts, *below)

    def _header(self) -> str:
        shown = self._of
        parts = [f"{shown.title}: {percent(shown.share)}", f"{shown.done} of {shown.total} done"]
        slots = "" if shown.slots is None else f" on {shown.slots} slots"
        parts += [f"{len(shown.running)} running{slots}", f"{shown.failed} failed"]
        if shown.stopped_early:
            parts.append(f"{shown.stopped_early} stopped early")
        if shown.skipped:
            parts.append(f"{shown.skipped} skipped")
        if shown.elapsed is not None:
            parts.append(f"{duration(shown.elapsed)} elapsed")
        if shown.left is not None and shown.share < 1:
            parts.append(f"about {duration(shown.left)} left")
        return ", ".join(parts)

    def _crossings(self, width: int) -> list[str]:
        """Return a line for each crossing, with its posterior if there is room for it."""
        known = self._of.crossings
        lines = [f"│{strip(one.masses)}│ {one.text}" for one in known]
        fits = max(map(len, lines), default=0) <= width
        return first_of(lines if fits else [one.text for one in known])

    def _bar(self, width: int) -> RenderableType:
        whole = Table.grid()  # a bare progress bar would not end its line
        whole.add_row(ProgressBar(total=1.0, completed=self._of.share, width=min(width, 100)))
        return whole

    def _trials(self, room: int, *, narrow: bool) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        trials = self._of.running
        for trial in trials[:room]:
            table.add_row(*self._cells(trial, narrow=narrow))
        if len(trials) > room:
            table.add_row(Text(f"and {len(trials) - room} more", style="dim"))
        return table

    def _cells(self, trial: RunningTrial, *, narrow: bool) -> list[RenderableType]:
        accuracy = "" if trial.accuracy is None else f"accuracy {trial.accuracy:.0%}"
        loss = "" if trial.loss is None else f"loss {trial.loss:.3g}"
        speed = "" if trial.speed is None else f"{trial.speed:.3g} steps/s"
        name = Text(trial.name, no_wrap=True, overflow="ellipsis")
        step = f"step {trial.step} of {trial.steps}"
        if narrow:
            return [name, f"{trial.step}/{trial.steps}", accuracy or loss]
        bar = ProgressBar(total=max(1, trial.steps), completed=trial.step, width=16)
        return [name, bar, step, loss, accuracy, speed]
