"""The live view of a sweep that another process trains, read from its records."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live

from factorlab.config import Shape
from factorlab.errors import UserError
from factorlab.storage.journal import Point
from factorlab.storage.record import State, recorded
from sweeps.execution.listener import KnownCrossing
from sweeps.planning import saved_plans
from sweeps.planning.cost import estimate
from sweeps.planning.cost.estimate import RunCost
from sweeps.planning.plan import Plan, PlannedTrial, SweepState
from sweeps.planning.search import continuation, picked, threshold
from sweeps.planning.search.spec import THRESHOLD
from sweeps.reporting.live.display import MOST_ENDED, PLAIN_EVERY
from sweeps.reporting.live.facts import SketchAxes, accuracy_of
from sweeps.reporting.live.layout import View
from sweeps.reporting.live.sketch import Sketch
from sweeps.reporting.live.snapshot import RunningTrial, Snapshot
from sweeps.reporting.live.time_left import TimeLeft

EVERY = 2.0
"""Seconds between two looks at the records."""

_OPEN: tuple[State, ...] = ("new", "resumable", "running", "damaged", "unreadable")
_IDLE = "no run trains now; if its command has ended, the same command goes on with the sweep"
_FLOPS_PER_SECOND = 1e10  # of a core, where no trial of any shape has finished yet


def awaited(
    runs: Path, name: str, profile: str | None, console: Console, every: float = EVERY
) -> Plan:
    """Return the plan of a sweep. Its command saves it once it knows how fast runs train.

    Args:
        runs: Folder of all records.
        name: Name of an experiment, or full name of a sweep.
        profile: Profile of the experiment; None for any.
        console: Console to say on that the sweep has not begun.
        every: Seconds between two looks.

    Raises:
        UserError: The sweep of this name has another profile.
    """
    said = False
    while True:
        try:
            return saved_plans.find(runs, name, profile)
        except saved_plans.NoSweepError as error:
            if not said:
                console.print(f"{error}; waiting for it", highlight=False, soft_wrap=True)
            said = True
        time.sleep(every)


def watch(plan: Plan, console: Console, every: float = EVERY) -> None:
    """Show the progress of a sweep until all its trials and its search have ended, or until Ctrl-C.

    Args:
        plan: The saved plan; it is read again at each look, since a search adds trials to it.
        console: Console to print to.
        every: Seconds between two looks at the records.
    """
    watched, last = Watched(), 0.0
    with Live(console=console, auto_refresh=False) as live:
        while True:
            state, shown = watched.look(plan)
            if console.is_terminal:
                live.update(View(shown), refresh=True)
            elif time.monotonic() - last >= PLAIN_EVERY:
                last = time.monotonic()
                line = f"{shown.line()}; {shown.message}" if shown.message else shown.line()
                console.print(line, highlight=False, soft_wrap=True)
            if not watched.goes_on(state):
                return
            time.sleep(every)
            plan = saved_plans.again(plan)


@dataclass
class Watched:
    """What was seen of a sweep so far. Records of trials that are done are read once."""

    _left: TimeLeft | None = None
    _known: dict[str, State] = field(default_factory=dict)
    _costs: dict[Shape, RunCost] = field(default_factory=dict)
    _sketch: Sketch | None = None
    _ended: list[str] = field(default_factory=list)
    _crossings: list[KnownCrossing] = field(default_factory=list)
    _searched: int = -1
    _last_line: float = 0.0
    """Time of the latest line of a journal, by the clock of the machine that trains."""
    _slots: int = 0
    _may_pick: tuple[int, bool] = (-1, True)
    """Whether a threshold search may pick further trials, and the number of trials at that time."""

    def look(self, plan: Plan) -> tuple[SweepState, Snapshot]:
        """Return the state of a sweep as it is now, and what to show of it.

        Args:
            plan: The plan; a search adds trials to it.
        """
        state = self._state(plan)
        training = state.select("running")
        if self._left is None or (len(training) > self._slots and not self._last_line):
            self._begin(state)
        assert self._left is not None
        running = self._progress(plan, training)
        for trial in plan.trials:
            self._note(state, trial)
        counts = state.counts()
        return state, Snapshot(
            plan.sweep,
            self._share(state),
            counts["done"],
            len(plan.trials),
            running=running,
            failed=counts["failed"],
            stopped_early=counts["stopped"],
            left=self._left.seconds() if running else None,
            ended=self._ended[-1 : -MOST_ENDED - 1 : -1],
            failures=[
                f"{trial.name}: {plan.record(trial).failure() or 'unknown'}"
                for trial in state.select("failed")
            ],
            crossings=self._crossings_of(state),
            sketch=self._sketch,
            message="" if running or not self.goes_on(state) else _IDLE,
        )

    def goes_on(self, state: SweepState) -> bool:
        """Return whether a trial has not ended, or the search may pick further ones."""
        if state.select(*_OPEN):
            return True
        plan = state.plan
        if plan.search is None or not state.to_pick:
            return False
        if plan.search.algorithm != THRESHOLD:
            return continuation.may_pick(plan)
        if self._may_pick[0] != len(plan.trials):  # to find out takes seconds
            self._may_pick = len(plan.trials), continuation.may_pick(plan)
        return self._may_pick[1] and picked.over(plan) is None

    def _crossings_of(self, state: SweepState) -> list[KnownCrossing]:
        """Return what a threshold search knows. It changes when a trial has ended."""
        search = state.plan.search
        if search is None or search.algorithm != THRESHOLD:
            return []
        ended = len(state.select("done", "failed"))
        if ended != self._searched:
            self._searched = ended
            findings = threshold.of_plan(state.plan).findings()
            self._crossings = [KnownCrossing.of(finding) for finding in findings]
        return self._crossings

    def _state(self, plan: Plan) -> SweepState:
        recorded(plan.runs)  # raises if the folder cannot be read
        done = {key for key, state in self._known.items() if state == "done"}
        states: dict[str, State] = {
            trial.key: "done" if trial.key in done else plan.record(trial).state()
            for trial in plan.trials
        }
        return SweepState(plan, states)

    def _begin(self, state: SweepState) -> None:
        """Read what the first look needs."""
        axes = SketchAxes.of(state.plan)
        self._sketch = None if axes is None else axes.sketch(state)
        self._costs = _costs_of(state)
        seconds = {
            trial.key: self._cost(trial).seconds(estimate.remaining_work(state, trial))
            for trial in state.select(*_OPEN)
        }
        self._slots = max(1, len(state.select("running")))
        self._left = TimeLeft(seconds, self._slots, resumed=seconds.keys())

    def _cost(self, trial: PlannedTrial) -> RunCost:
        """Return the cost of a trial, by its floating-point operations if no other has ended."""
        known = self._costs.get(trial.run.shape)
        if known is not None:
            return known
        work = estimate.work_of(trial.run, 0)
        return RunCost(
            estimate.flops(trial.run, work) / max(1, work.steps) / _FLOPS_PER_SECOND, 0.0
        )

    def _share(self, state: SweepState) -> float:
        """Return the share of all work of the sweep that is done."""
        whole, rest = 0.0, 0.0
        for trial in state.plan.trials:
            cost = self._cost(trial)
            whole += cost.seconds(estimate.work_of(trial.run, 0))
            if state.states[trial.key] in _OPEN:
                rest += cost.seconds(estimate.remaining_work(state, trial))
        return 1 - rest / whole if whole else 1.0

    def _progress(self, plan: Plan, trials: Sequence[PlannedTrial]) -> list[RunningTrial]:
        """Read how far trials are that train.

        Journals have a line every few steps, so its own time counts, not that of the look.
        """
        assert self._left is not None
        journals = {trial.key: plan.record(trial).points()[0] for trial in trials}
        begun = [trial for trial in trials if journals[trial.key]]
        for trial in sorted(begun, key=lambda one: journals[one.key][-1].time):
            last, steps = journals[trial.key][-1], trial.run.training.steps
            self._last_line = max(self._last_line, last.time)
            self._left.started(trial.key, last.time)
            self._left.progressed(trial.key, last.step, steps, last.time)
        return [self._running(trial, journals[trial.key]) for trial in trials]

    def _running(self, trial: PlannedTrial, points: Sequence[Point]) -> RunningTrial:
        """Return what to show of a trial that trains."""
        steps = trial.run.training.steps
        if not points:
            return RunningTrial(trial.name, 0, steps)
        last = points[-1]
        speed = None
        if len(points) > 1 and last.time > points[-2].time:
            speed = (last.step - points[-2].step) / (last.time - points[-2].time)
        tested = [point.metrics["accuracy"] for point in points if "accuracy" in point.metrics]
        accuracy = tested[-1] if tested else None
        return RunningTrial(trial.name, last.step, steps, last.metrics.get("loss"), accuracy, speed)

    def _note(self, state: SweepState, trial: PlannedTrial) -> None:
        """Note a trial that has ended since the last look."""
        assert self._left is not None
        now_is, was = state.states[trial.key], self._known.get(trial.key)
        self._known[trial.key] = now_is
        if was is None or was == now_is:
            return
        if now_is in _OPEN:
            if was == "running":
                self._left.stopped(trial.key)
            return
        self._left.ended(trial.key, self._last_line, trained=now_is == "done")
        accuracy = accuracy_of(state.plan, trial) if now_is == "done" else None
        self._ended.append(
            f"{trial.name}: {now_is if accuracy is None else f'accuracy {accuracy:.0%}'}"
        )
        axes = SketchAxes.of(state.plan)
        place = None if axes is None else axes.place(trial)
        if accuracy is not None and place is not None and self._sketch is not None:
            self._sketch = self._sketch.with_point(place, accuracy)


def _costs_of(state: SweepState) -> dict[Shape, RunCost]:
    """Return the cost of each shape of which a trial has finished."""
    try:
        return estimate.finished_costs(state)
    except UserError:  # a data family of another version
        return {}
