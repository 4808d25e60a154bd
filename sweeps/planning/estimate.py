"""How long a plan will take: from finished trials of the same shape, else from a short probe."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from factorlab.config import RunSettings, Shape
from factorlab.model.flops import forward_flops
from factorlab.storage.record import Record
from factorlab.system.cores import usable
from sweeps.planning import packing, probe
from sweeps.planning.experiment import Resources
from sweeps.planning.pack_limits import step_flops
from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.planning.probe import MachineProfile, Question


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
    kept = settings.representations.grid**2 if settings.representations.layers else 0
    return evaluations * ((tested + kept) * settings.diffusion.sampling_steps + kept)


def flops(settings: RunSettings, tested: int) -> float:
    """Return the operations of a run; a backward pass costs two forward ones.

    Args:
        settings: the run.
        tested: labels of an evaluation.
    """
    tests = forward_flops(settings.model, settings.data.size) * _forward_passes(settings, tested)
    return settings.training.steps * step_flops(settings) + tests


def _measured(plan: Plan) -> dict[Shape, float]:
    """Return seconds a step by shape, from the finished trials of the plan."""
    seen = defaultdict(list)
    for trial in plan.trials:
        if trial.state == "done":
            result = Record(plan.runs, trial.key).result()
            assert result is not None
            seen[trial.settings.shape].append(result["seconds"]["train"] / result["steps"])
    return {shape: statistics.median(times) for shape, times in seen.items()}


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
    plan: Plan, pending: Sequence[PlannedTrial]
) -> Iterator[Callable[[int | None], Estimate]]:
    """Start to price what is left of a plan; what it yields waits for the price, once.

    It is called with how many trials or packs run at a time, None for as many as fit on this
    machine. Each shape that no finished trial has is probed meanwhile, for about a second.
    """
    shapes = {trial.settings.shape: trial.settings for trial in pending}
    if not shapes:
        yield lambda _slots: Estimate({}, 0, 1, "nothing", 0, 0, ())
        return
    known = _measured(plan)
    counts = Counter(trial.settings.shape for trial in pending)
    wanted = plan.experiment.resources
    asked = [
        Question(settings, wanted.pack, counts[shape], wanted.gpu, timed=shape not in known)
        for shape, settings in shapes.items()
    ]
    with probe.start(asked) as running:
        yield lambda slots: _price(plan, pending, known, running.findings(), slots)


def estimate(plan: Plan, pending: Sequence[PlannedTrial]) -> Estimate:
    """Return what is left of a plan, on this machine."""
    with begin(plan, pending) as price:
        return price(None)


def _price(
    plan: Plan,
    pending: Sequence[PlannedTrial],
    known: dict[Shape, float],
    found: MachineProfile,
    slots: int | None,
) -> Estimate:
    """Return what is left of a plan.

    An evaluation's network call costs a third of a training step of as many images.
    """
    shapes = {trial.settings.shape: trial.settings for trial in pending}
    speeds = dict(zip(shapes, found.speeds, strict=True))
    limits = {shape: speed.limits for shape, speed in speeds.items()}
    per_step = {s: known.get(s, v.step or 0.0) for s, v in speeds.items()}
    seconds, operations = {}, 0.0
    for trial in pending:
        shape, settings = trial.settings.shape, trial.settings
        passes = _forward_passes(settings, trial.tested) / (3 * settings.training.batch_size)
        seconds[trial.key] = per_step[shape] * (settings.training.steps + passes)
        operations += flops(settings, trial.tested)
    probed = shapes.keys() - known.keys()
    told = plan.experiment.resources.pack != "auto"  # then packs are that large, idle slots or not
    at_once = slots or _slots(plan.experiment.resources, found.devices)
    # Longest first on equal slots ends at most one longest trial after the mean load.
    return Estimate(
        seconds=seconds,
        wall=max(sum(seconds.values()) / at_once, *seconds.values()),
        slots=at_once,
        basis="a probe of this machine" if probed else "finished trials",
        steps=sum(trial.settings.training.steps for trial in pending),
        flops=operations,
        packs=tuple(packing.form(pending, seconds, limits, 1 if told else at_once)),
    )
