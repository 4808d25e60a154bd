"""How long a plan will take: from finished trials of the same shape, else from a short probe."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from factorlab.config import RunSettings, Shape
from factorlab.record import Record
from sweeps import packing, probe
from sweeps.packing import step_flops
from sweeps.plan import Plan, PlannedTrial
from sweeps.probe import Findings


@dataclass(frozen=True)
class Estimate:
    """What is left of a plan."""

    seconds: dict[str, float]
    """Seconds on one core, or one share of a GPU, by key of the pending trials."""

    wall: float
    """Seconds until all are done, on `slots` at a time."""

    slots: int
    basis: str
    """Where the numbers come from."""

    steps: int
    """Training steps in all."""

    flops: float
    """Floating-point operations in all, training and evaluation."""

    packs: tuple[tuple[PlannedTrial, ...], ...]
    """The pending trials that train together, the longest first."""


def _forward_passes(settings: RunSettings, tested: int) -> float:
    """Return images times network calls of all evaluations of a run."""
    when = settings.evaluation
    steps = settings.training.steps
    regular = range(when.every, steps + 1, when.every) if when.every else ()
    evaluations = len({*regular, *when.at, steps})
    return evaluations * tested * settings.diffusion.sampling_steps


def flops(settings: RunSettings, tested: int, image: float) -> float:
    """Return the operations of a run; a backward pass costs two forward ones.

    Args:
        settings: the run.
        tested: labels of an evaluation.
        image: operations of one forward pass of one image.
    """
    tests = image * _forward_passes(settings, tested)
    return settings.training.steps * step_flops(settings, image) + tests


def _measured(plan: Plan) -> dict[Shape, float]:
    """Return seconds a step by shape, from the finished trials of the plan."""
    seen = defaultdict(list)
    for trial in plan.trials:
        if trial.state == "done":
            result = Record(plan.runs, trial.key).result()
            assert result is not None
            seen[trial.settings.shape].append(result["seconds"]["train"] / result["steps"])
    return {shape: statistics.median(times) for shape, times in seen.items()}


def _slots(plan: Plan, devices: int) -> int:
    """Return how many trials run at a time on this machine.

    Args:
        plan: the sweep.
        devices: CUDA devices.
    """
    cores = max(1, int(len(os.sched_getaffinity(0)) / plan.experiment.resources.cpu))
    if devices:
        return max(1, min(cores, int(devices / plan.experiment.resources.gpu)))
    return cores


@contextmanager
def begin(plan: Plan, pending: Sequence[PlannedTrial]) -> Iterator[Callable[[], Estimate]]:
    """Start to price what is left of a plan; what it yields waits for the price, once.

    Each shape that no finished trial has is probed meanwhile, for about a second.
    """
    shapes = {trial.settings.shape: trial.settings for trial in pending}
    if not shapes:
        yield lambda: Estimate({}, 0, 1, "nothing", 0, 0, ())
        return
    known = _measured(plan)
    asked = [(settings, shape not in known) for shape, settings in shapes.items()]
    with probe.start(asked) as running:
        yield lambda: _price(plan, pending, known, running.findings())


def estimate(plan: Plan, pending: Sequence[PlannedTrial]) -> Estimate:
    """Return what is left of a plan."""
    with begin(plan, pending) as price:
        return price()


def _price(
    plan: Plan, pending: Sequence[PlannedTrial], known: dict[Shape, float], found: Findings
) -> Estimate:
    """Return what is left of a plan.

    An evaluation's network call costs a third of a training step of as many images.
    """
    shapes = {trial.settings.shape: trial.settings for trial in pending}
    speeds = dict(zip(shapes, found.speeds, strict=True))
    per_step = {s: known.get(s, v.step or 0.0) for s, v in speeds.items()}
    seconds, operations = {}, 0.0
    for trial in pending:
        shape, settings = trial.settings.shape, trial.settings
        passes = _forward_passes(settings, trial.tested) / (3 * settings.training.batch_size)
        seconds[trial.key] = per_step[shape] * (settings.training.steps + passes)
        operations += flops(settings, trial.tested, speeds[shape].flops)
    probed = shapes.keys() - known.keys()
    at_once = _slots(plan, found.devices)
    # Longest first on equal slots ends at most one longest trial after the mean load.
    return Estimate(
        seconds=seconds,
        wall=max(sum(seconds.values()) / at_once, *seconds.values()),
        slots=at_once,
        basis="a probe of this machine" if probed else "finished trials",
        steps=sum(trial.settings.training.steps for trial in pending),
        flops=operations,
        packs=tuple(_packs(plan, pending, seconds, shapes, found)),
    )


def _packs(
    plan: Plan,
    pending: Sequence[PlannedTrial],
    seconds: Mapping[str, float],
    shapes: Mapping[Shape, RunSettings],
    found: Findings,
) -> list[tuple[PlannedTrial, ...]]:
    """Return which pending trials train together.

    Args:
        plan: the sweep.
        pending: its pending trials.
        seconds: how long each takes, by key.
        shapes: a run of each shape.
        found: what the probe found, in the order of the shapes.
    """
    wanted = plan.experiment.resources
    if wanted.pack != "auto":
        return packing.form(pending, seconds, dict.fromkeys(shapes, wanted.pack), 1, 1)
    sizes = {
        shape: packing.best_size(settings, speed, found, wanted.gpu)
        for (shape, settings), speed in zip(shapes.items(), found.speeds, strict=True)
    }
    slots = _slots(plan, found.devices)
    fewest = 1 if found.devices else packing.FEWEST
    return packing.form(pending, seconds, sizes, slots, fewest)
