"""How long a sweep will take: the one estimate behind the plan, `--dry-run` and `factorlab status`.

A run takes its training steps and the network calls of its evaluations. What each costs is known
from finished trials of the same shape, or measured by a short probe of this machine.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from factorlab.config import RunSettings, Shape
from factorlab.data.dataset import evaluation_label_count
from factorlab.errors import UserError
from factorlab.model.flops import forward_flops
from factorlab.system.cores import usable
from sweeps.planning import packing, probe
from sweeps.planning.experiment import Resources
from sweeps.planning.pack_limits import step_flops
from sweeps.planning.plan import PlannedTrial, SweepState
from sweeps.planning.probe import MachineProfile, Question


@dataclass(frozen=True)
class RunWork:
    """Work of a run."""

    steps: int
    """Training steps."""

    calls: int
    """Images times network calls of the evaluations."""


def work_of(run: RunSettings, done: int = 0) -> RunWork:
    """Return the work of a run after its first steps.

    Args:
        run: its settings.
        done: optimizer steps done.
    """
    when, steps = run.evaluation, run.training.steps
    regular = range(when.every, steps + 1, when.every) if when.every else ()
    evaluations = sum(1 for step in {*regular, *when.at, steps} if done == 0 or step > done)
    kept = run.representations.grid**2 if run.representations.layers else 0
    tested = evaluation_label_count(run.data, run.evaluation)
    each = (tested + kept) * run.diffusion.sampling_steps + kept
    return RunWork(max(0, steps - done), evaluations * each)


def flops(run: RunSettings, work: RunWork) -> float:
    """Return the floating-point operations of work; a backward pass costs two forward ones."""
    return work.steps * step_flops(run) + work.calls * forward_flops(run.model, run.data.size)


@dataclass(frozen=True)
class RunCost:
    """What the work of a run costs, in seconds on one core or one share of a GPU."""

    step: float
    """Seconds of a training step, a trial's share of its pack's."""

    call: float
    """Seconds of a network call of an evaluation, for one image."""

    def seconds(self, work: RunWork) -> float:
        """Return the seconds that work takes."""
        return self.step * work.steps + self.call * work.calls


def _call_of_step(run: RunSettings, step: float) -> float:
    """Return what a network call of one image takes: a third of a step of as many images."""
    return step / (3 * run.training.batch_size)


def finished_costs(state: SweepState) -> dict[Shape, RunCost]:
    """Return the costs by shape that the finished trials of a sweep had.

    Raises:
        UserError: this version does not know the settings of one, such as its data family.
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
    """Return the work that a trial has left; one whose record is damaged starts again."""
    try:
        points, _ = state.plan.record(trial).points()
    except OSError:  # the worker that takes the trial reports it
        points = []
    begun = bool(points) and state.states[trial.key] != "damaged"
    return work_of(trial.run, points[-1].step if begun else 0)


def seconds_left(state: SweepState) -> float | None:
    """Return the seconds that a sweep has left on one core, by its finished trials.

    None where no finished trial has the shape of one that is left.
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
    """What is left of a plan."""

    seconds: dict[str, float]
    """Seconds on one core, or one share of a GPU, by key of the pending trials."""

    wall: float
    """Seconds until all are done, on `slots` at a time."""

    slots: int
    basis: Literal["nothing", "finished trials", "a probe of this machine"]
    """Where the numbers come from."""

    steps: int
    """Training steps in all."""

    flops: float
    """Floating-point operations in all, training and evaluation."""

    packs: tuple[tuple[PlannedTrial, ...], ...]
    """The pending trials that train together, the longest first."""


def _slots(wanted: Resources, devices: int) -> int:
    """Return how many trials, or packs, run at a time on this machine.

    Args:
        wanted: what each occupies.
        devices: CUDA devices.
    """
    cores = max(1, int(usable() / wanted.cpu))
    return max(1, min(cores, int(devices / wanted.gpu))) if devices else cores


@contextmanager
def begin(
    state: SweepState, pending: Sequence[PlannedTrial]
) -> Iterator[Callable[[int | None], Estimate]]:
    """Start to estimate what is left of a sweep; what it yields waits for the estimate, once.

    It is called with how many trials or packs run at a time, None for as many as fit on this
    machine. Each shape that no finished trial has is probed meanwhile, for about a second.
    """
    shapes = {trial.run.shape: trial.run for trial in pending}
    if not shapes:
        yield lambda _slots: Estimate({}, 0, 1, "nothing", 0, 0, ())
        return
    known = finished_costs(state)
    counts = Counter(trial.run.shape for trial in pending)
    wanted = state.plan.resources
    asked = [
        Question(run, wanted.pack, counts[shape], wanted.gpu, timed=shape not in known)
        for shape, run in shapes.items()
    ]
    with probe.start(asked) as running:
        yield lambda slots: _price(state, pending, known, running.profile(), slots)


def estimate(state: SweepState, pending: Sequence[PlannedTrial]) -> Estimate:
    """Return what is left of a sweep, on this machine."""
    with begin(state, pending) as price:
        return price(None)


def _price(
    state: SweepState,
    pending: Sequence[PlannedTrial],
    known: Mapping[Shape, RunCost],
    found: MachineProfile,
    slots: int | None,
) -> Estimate:
    """Return what is left of a sweep."""
    runs = {trial.run.shape: trial.run for trial in pending}
    speeds = dict(zip(runs, found.speeds, strict=True))
    costs = {**known}
    for shape, speed in speeds.items():
        if shape not in known:
            assert speed.step is not None
            costs[shape] = RunCost(speed.step, _call_of_step(runs[shape], speed.step))
    works = {trial.key: remaining_work(state, trial) for trial in pending}
    seconds = {t.key: costs[t.run.shape].seconds(works[t.key]) for t in pending}
    limits = {shape: speed.limits for shape, speed in speeds.items()}
    wanted = state.plan.resources
    at_once = slots or _slots(wanted, found.devices)
    fixed = wanted.pack != "auto"  # then packs are that large, idle slots or not
    # Longest first on equal slots ends at most one longest trial after the mean load.
    return Estimate(
        seconds=seconds,
        wall=max(sum(seconds.values()) / at_once, *seconds.values()),
        slots=at_once,
        basis="finished trials" if runs.keys() <= known.keys() else "a probe of this machine",
        steps=sum(work.steps for work in works.values()),
        flops=sum(flops(trial.run, works[trial.key]) for trial in pending),
        packs=tuple(packing.form(pending, seconds, limits, 1 if fixed else at_once)),
    )
