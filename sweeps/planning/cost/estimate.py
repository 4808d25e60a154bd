"""Time estimates of sweeps, shown with the plan, by `--dry-run` and by `factorlab status`.

The work of a run consists of training steps and the network calls of its evaluations. The cost of
each comes from finished trials of the same shape, or from a short probe.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from factorlab.config import RunSettings, Shape
from factorlab.data.dataset import evaluation_label_count
from factorlab.errors import UserError
from factorlab.model.flops import forward_flops
from factorlab.system.cores import usable
from sweeps.planning.cost import packing, probe
from sweeps.planning.cost.pack_limits import ALONE, PackLimits, step_flops
from sweeps.planning.cost.probe import MachineProfile, Question
from sweeps.planning.experiment import Resources
from sweeps.planning.plan import PlannedTrial, SweepState
from sweeps.planning.search import threshold


@dataclass(frozen=True)
class RunWork:
    """Amount of work of a run."""

    steps: int
    """Training steps."""

    calls: int
    """Network calls of all evaluations, counted per image."""


def work_of(run: RunSettings, done: int = 0) -> RunWork:
    """Return the remaining work of a run.

    Args:
        run: Settings of the run.
        done: Number of optimizer steps already done.
    """
    when, steps = run.evaluation, run.training.steps
    regular = range(when.every, steps + 1, when.every) if when.every else ()
    evaluations = sum(1 for step in {*regular, *when.at, steps} if done == 0 or step > done)
    kept = run.representations.grid**2 if run.representations.layers else 0
    tested = evaluation_label_count(run.data, run.evaluation)
    again = len(run.representations.saved)
    each = (tested + kept) * run.diffusion.sampling_steps + again * kept
    return RunWork(max(0, steps - done), evaluations * each)


def flops(run: RunSettings, work: RunWork) -> float:
    """Return the floating-point operations of work. A backward pass counts as two forward ones."""
    return work.steps * step_flops(run) + work.calls * forward_flops(run.model, run.data.size)


@dataclass(frozen=True)
class RunCost:
    """Time per unit of work, in seconds on one core or on one share of a GPU."""

    step: float
    """Seconds per training step; in a pack, the trial's share of the pack's step."""

    call: float
    """Seconds per network call of an evaluation and image."""

    def seconds(self, work: RunWork) -> float:
        """Return how many seconds the work takes."""
        return self.step * work.steps + self.call * work.calls


def _call_of_step(run: RunSettings, step: float) -> float:
    """Return the seconds per network call and image, a third of a training step per image."""
    return step / (3 * run.training.batch_size)


def finished_costs(state: SweepState) -> dict[Shape, RunCost]:
    """Return the cost of each shape, as the median over the finished trials of a sweep.

    Raises:
        UserError: This version does not support the settings of a trial, such as its data family.
    """
    steps, calls = defaultdict(list), defaultdict(list)
    for trial in state.select("done"):
        result = state.plan.record(trial).result()
        assert result is not None
        work, seconds = work_of(trial.run), result["seconds"]
        step = seconds["train"] / result["steps"]
        steps[trial.run.shape].append(step)
        tested = "evaluate" in seconds and work.calls
        calls[trial.run.shape].append(
            seconds["evaluate"] / work.calls if tested else _call_of_step(trial.run, step)
        )
    return {
        shape: RunCost(statistics.median(times), statistics.median(calls[shape]))
        for shape, times in steps.items()
    }


def remaining_work(state: SweepState, trial: PlannedTrial) -> RunWork:
    """Return the remaining work of a trial. A trial with a damaged record starts from scratch."""
    try:
        points, _ = state.plan.record(trial).points()
    except OSError:  # the worker that trains the trial will report the error
        points = []
    begun = bool(points) and state.states[trial.key] != "damaged"
    return work_of(trial.run, points[-1].step if begun else 0)


def seconds_left(state: SweepState) -> float | None:
    """Return how many seconds a sweep still takes on one core, based on its finished trials.

    Returns None if a pending trial has a shape that no finished trial has.
    """
    try:
        known = finished_costs(state)
        return sum(
            known[trial.run.shape].seconds(remaining_work(state, trial))
            for trial in state.pending()
        )
    except (KeyError, UserError):
        return None


@dataclass(frozen=True)
class Estimate:
    """Remaining work of a plan and the time it takes."""

    seconds: dict[str, float]
    """Seconds per pending trial, by key, on one core or on one share of a GPU."""

    wall: float
    """Seconds of wall time until all pending trials are done, with `slots` in parallel."""

    slots: int
    """Trials or packs that train in parallel."""

    basis: Literal["nothing", "finished trials", "a probe"]
    """Source of the estimate."""

    steps: int
    """Total number of training steps."""

    flops: float
    """Total number of floating-point operations, for training and evaluation."""

    packs: tuple[tuple[PlannedTrial, ...], ...]
    """Pending trials grouped into packs, the longest pack first."""

    limits: Mapping[Shape, PackLimits] = field(default_factory=dict)
    """Range of pack sizes by shape."""

    before: float = 0.0
    """Seconds of the work of all planned trials that is done, at the same costs."""


def _slots(wanted: Resources, devices: int) -> int:
    """Return how many trials or packs run in parallel on this machine.

    Args:
        wanted: Resources per trial or pack.
        devices: Number of CUDA devices.
    """
    cores = max(1, int(usable() / wanted.cpu))
    return max(1, min(cores, devices * int(1 / wanted.gpu))) if devices else cores


class Estimator:
    """Estimates the remaining work of a sweep from finished trials and a probe.

    Args:
        state: State of the sweep.
        pending: Trials to train, at least one.
    """

    def __init__(self, state: SweepState, pending: Sequence[PlannedTrial]) -> None:
        self._state, self._pending = state, pending
        self._runs = {trial.run.shape: trial.run for trial in pending}
        self._known = finished_costs(state)
        plan = state.plan
        self._most = None if plan.outlook is None else threshold.most_together(plan)

    def _limits(self, shape: Shape, found: PackLimits) -> PackLimits:
        """Return the range of pack sizes of a shape, of which a threshold search may use a part."""
        most = found.most if self._most is None else min(found.most, self._most[shape])
        small = most < 2 * found.fewest and found.fewest > 1  # see `PackLimits.most`
        return ALONE if small else PackLimits(found.fewest, max(1, most))

    def questions(self) -> list[Question]:
        """Return what a probe has to find out. Each shape takes it about a second."""
        counts = Counter(trial.run.shape for trial in self._pending)
        if self._most is not None:
            counts = Counter(
                {shape: min(n, max(1, self._most[shape])) for shape, n in counts.items()}
            )
        wanted = self._state.plan.resources
        return [
            Question(run, wanted.pack, counts[shape], wanted.gpu, timed=shape not in self._known)
            for shape, run in self._runs.items()
        ]

    def estimate(self, found: MachineProfile, slots: int | None = None) -> Estimate:
        """Combine costs of finished trials and of a probe.

        Args:
            found: Results of a probe, with an answer to each question.
            slots: Number of trials or packs that run in parallel. By default, as many as fit on
                this machine.
        """
        speeds = dict(zip(self._runs, found.speeds, strict=True))
        costs = {**self._known}
        for shape, speed in speeds.items():
            if shape not in costs:
                assert speed.step is not None
                costs[shape] = RunCost(speed.step, _call_of_step(self._runs[shape], speed.step))
        works = {trial.key: remaining_work(self._state, trial) for trial in self._pending}
        seconds = {t.key: costs[t.run.shape].seconds(works[t.key]) for t in self._pending}
        whole = {
            trial.key: costs[trial.run.shape].seconds(work_of(trial.run))
            for trial in self._state.plan.trials
            if trial.run.shape in costs
        }
        limits = {shape: self._limits(shape, speed.limits) for shape, speed in speeds.items()}
        wanted = self._state.plan.resources
        at_once = slots or _slots(wanted, found.devices)
        fixed = wanted.pack != "auto"  # keep the given pack size even if slots stay idle
        # Scheduling the longest first finishes at most one longest trial after the mean load.
        return Estimate(
            seconds=seconds,
            wall=max(sum(seconds.values()) / at_once, *seconds.values()),
            slots=at_once,
            basis="finished trials" if self._runs.keys() <= self._known.keys() else "a probe",
            steps=sum(work.steps for work in works.values()),
            flops=sum(flops(trial.run, works[trial.key]) for trial in self._pending),
            packs=tuple(packing.form(self._pending, seconds, limits, 1 if fixed else at_once)),
            limits=limits,
            before=sum(all_of_it - seconds.get(key, 0.0) for key, all_of_it in whole.items()),
        )


NOTHING = Estimate({}, 0, 1, "nothing", 0, 0, ())
"""Estimate of a sweep without pending trials."""


def estimate(state: SweepState, pending: Sequence[PlannedTrial]) -> Estimate:
    """Return the remaining work of a sweep and the time it takes on this machine."""
    if not pending:
        return NOTHING
    estimator = Estimator(state, pending)
    with probe.start(estimator.questions()) as running:
        return estimator.estimate(running.profile())
