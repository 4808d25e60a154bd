"""The live view of a sweep that another process trains, read from its records."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live

from factorlab.config import Shape
from factorlab.errors import UserError
from factorlab.storage.record import State
from sweeps.planning.cost import estimate
from sweeps.planning.cost.estimate import RunCost
from sweeps.planning.plan import Plan, PlannedTrial, SweepState
from sweeps.reporting.live.display import MOST_ENDED, PLAIN_EVERY
from sweeps.reporting.live.facts import SketchAxes
from sweeps.reporting.live.layout import View
from sweeps.reporting.live.snapshot import RunningTrial, Snapshot
from sweeps.reporting.live.time_left import TimeLeft

EVERY = 2.0
"""Seconds between two looks at the records."""

_OPEN: tuple[State, ...] = ("new", "resumable", "running", "damaged")
_IDLE = "no process trains this sweep now"
_FLOPS_PER_SECOND = 1e10  # of a core, where no trial of any shape has finished yet


def watch(find: Callable[[], Plan], console: Console, every: float = EVERY) -> None:
    """Show the progress of a sweep until all its trials have ended, or until Ctrl-C.

    Args:
        find: Returns the plan as it is now; a search adds trials to it.
        console: Console to print to.
        every: Seconds between two looks at the records.
    """
    watched, last = Watched(), 0.0
    with Live(console=console, auto_refresh=False) as live:
        while True:
            state = find().state()
            shown = watched.look(state, time.monotonic())
            if console.is_terminal:
                live.update(View(shown), refresh=True)
            elif time.monotonic() - last >= PLAIN_EVERY:
                last = time.monotonic()
                console.print(shown.line(), highlight=False, soft_wrap=True)
            if not state.select(*_OPEN) and not state.to_pick:
                return
            time.sleep(every)


@dataclass
class Watched:
    """What was seen of a sweep so far."""

    _left: TimeLeft | None = None
    _known: dict[str, State] = field(default_factory=dict)
    _ended: list[str] = field(default_factory=list)
    _since: float | None = None

    def look(self, state: SweepState, now: float) -> Snapshot:
        """Return the progress as it is now.

        Args:
            state: State of the sweep.
            now: Time in seconds, of any clock that does not go back.
        """
        self._since = now if self._since is None else self._since
        trains = state.select("running")
        if self._left is None:
            seconds = _seconds(state)
            self._left = TimeLeft(seconds, max(1, len(trains)), resumed=seconds.keys())
        running = [self._running(state.plan, trial, now) for trial in trains]
        for trial in state.plan.trials:
            self._note(state, trial, now)
        counts, axes = state.counts(), SketchAxes.of(state.plan)
        return Snapshot(
            state.plan.sweep,
            self._share(state),
            counts["done"],
            len(state.plan.trials),
            running=running,
            failed=counts["failed"],
            stopped_early=counts["stopped"],
            elapsed=None,
            left=self._left.seconds() if running else None,
            ended=self._ended[-1 : -MOST_ENDED - 1 : -1],
            failures=[
                f"{trial.name}: {state.plan.record(trial).failure() or 'unknown'}"
                for trial in state.select("failed")
            ],
            sketch=None if axes is None else axes.sketch(state),
            message=_IDLE if state.select(*_OPEN) and not running else "",
        )

    def _share(self, state: SweepState) -> float:
        """Return the share of all work of the sweep that is done."""
        costs, whole, rest = _costs(state), 0.0, 0.0
        for trial in state.plan.trials:
            cost = costs.get(trial.run.shape, _guess(trial))
            work = cost.seconds(estimate.work_of(trial.run, 0))
            whole += work
            if state.states[trial.key] in _OPEN:
                rest += cost.seconds(estimate.remaining_work(state, trial))
        return 1 - rest / whole if whole else 1.0

    def _running(self, plan: Plan, trial: PlannedTrial, now: float) -> RunningTrial:
        assert self._left is not None
        points, _ = plan.record(trial).points()
        steps = trial.run.training.steps
        if not points:
            return RunningTrial(trial.name, 0, steps)
        last = points[-1]
        speed = None
        if len(points) > 1 and last.time > points[-2].time:
            speed = (last.step - points[-2].step) / (last.time - points[-2].time)
        self._left.started(trial.key, now)
        self._left.progressed(trial.key, last.step, steps, now)
        tested = [point.metrics["accuracy"] for point in points if "accuracy" in point.metrics]
        accuracy = tested[-1] if tested else None
        return RunningTrial(trial.name, last.step, steps, last.metrics.get("loss"), accuracy, speed)

    def _note(self, state: SweepState, trial: PlannedTrial, now: float) -> None:
        """Note a trial that has ended since the last look."""
        assert self._left is not None
        now_is, was = state.states[trial.key], self._known.get(trial.key)
        self._known[trial.key] = now_is
        if was is None or was == now_is or now_is in _OPEN:
            return
        self._left.ended(trial.key, now)
        result = state.plan.record(trial).result() if now_is == "done" else None
        shown = now_is if result is None else f"accuracy {result['metrics']['accuracy']:.0%}"
        self._ended.append(f"{trial.name}: {shown}")


def _costs(state: SweepState) -> dict[Shape, RunCost]:
    """Return the cost of each shape of which a trial has finished."""
    try:
        return estimate.finished_costs(state)
    except UserError:  # a data family of another version
        return {}


def _guess(trial: PlannedTrial) -> RunCost:
    """Return the cost of a trial by its floating-point operations."""
    one = estimate.work_of(trial.run, 0)
    per_step = estimate.flops(trial.run, one) / max(1, one.steps) / _FLOPS_PER_SECOND
    return RunCost(per_step, 0.0)


def _seconds(state: SweepState) -> dict[str, float]:
    """Return the estimated seconds of each trial that has not ended, by key."""
    costs = _costs(state)
    return {
        trial.key: costs.get(trial.run.shape, _guess(trial)).seconds(
            estimate.remaining_work(state, trial)
        )
        for trial in state.select(*_OPEN)
    }
