"""`factorlab analyse`: measure stored representations, in parallel over trials on Ray."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console

from factorlab.errors import UserError, user_message
from factorlab.provenance.sources import Sources, at_start, explain
from factorlab.storage import journal
from factorlab.storage.files import DamagedFile, reason_of
from factorlab.storage.record import Record
from sweeps.planning import saved_plans
from sweeps.planning.plan import PlannedTrial
from sweeps.ray_runtime import connection


@dataclass(frozen=True)
class TrialReference:
    """A trial to analyse."""

    key: str
    name: str
    """Readable name."""

    layers: tuple[str, ...] = ()
    """Names of the representations that its settings store; empty if they are not known."""

    @classmethod
    def of(cls, trial: PlannedTrial) -> Self:
        """Return a trial of a plan."""
        try:
            names = trial.run.representations.names
        except UserError:  # settings of another version
            names = ()
        return cls(trial.key, trial.name, names)


def subjects(runs: Path, name: str, profile: str | None = None) -> list[TrialReference]:
    """Return all trials of a sweep, or a single trial selected by a prefix of its key.

    With a profile, the name is that of a sweep.

    Raises:
        UserError: There is no such trial or sweep, or several keys have this prefix.
    """
    folder = runs / "trials"
    keys = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
    found = [key for key in keys if key.startswith(name) and profile is None]
    if len(found) > 1:
        raise UserError(f"{folder}: {len(found)} keys start with '{name}'; give a longer prefix")
    if found:
        return [TrialReference(found[0], found[0][:12])]
    return [TrialReference.of(trial) for trial in saved_plans.find(runs, name, profile).trials]


def analyse(
    runs: Path, key: str, layers: Sequence[str], seed: int, driver: Sources
) -> tuple[int, str | None]:
    """Analyse one trial in this process.

    A trial that cannot be measured is reported, so that the other trials can continue.

    Args:
        runs: Folder of all records.
        key: Key of the trial.
        layers: Layers to measure.
        seed: Random seed of the measures.
        driver: Source files that the driver imported. If this process imported different ones,
            nothing is measured.

    Returns:
        The number of steps that were measured, and the error message, or None on success.
    """
    foreign = explain(at_start(), driver, f"a process on {platform.node()}")
    if foreign is not None:
        return 0, foreign
    from analysis import training_dynamics  # noqa: PLC0415 - scikit-learn, matplotlib: seconds

    record, steps = Record(runs, key), 0
    try:
        for layer in layers:
            new = sum(1 for _ in training_dynamics.analyse(record, layer, seed=seed))
            if new:
                training_dynamics.save(record, layer)
            steps += new
    except (ValueError, DamagedFile) as error:
        return steps, str(error)
    except OSError as error:
        reason = user_message(error)
        if reason is None:
            raise
        return steps, reason
    return steps, None


def measured(record: Record, layer: str) -> bool:
    """Return whether all steps with representations of a trial are measured.

    Representations may be deleted once they are; then the last step of the run tells.
    """
    points, _ = journal.read(record.measures(layer))
    steps = {point.step for point in points}
    stored = record.represented().keys()
    if stored:
        return stored <= steps
    result = record.result()
    return result is not None and result["steps"] in steps


@dataclass(frozen=True)
class _Left:
    """Trials by what remains to be measured."""

    layers: dict[TrialReference, tuple[str, ...]]
    """Layers to measure, by trial."""

    before: int
    """Number of trials that are already fully measured."""

    problems: dict[TrialReference, str]
    """Error message of each trial that cannot be measured."""


def _look(chosen: Sequence[TrialReference], runs: Path, layer: str | None) -> _Left:
    """Return what remains to be measured of one layer, or of all stored layers."""
    left: dict[TrialReference, tuple[str, ...]] = {}
    problems: dict[TrialReference, str] = {}
    before = 0
    for subject in chosen:
        record = Record(runs, subject.key)
        try:
            stored = record.layers()
            layers = (layer,) if layer is not None else stored or subject.layers
            complete = bool(layers) and all(measured(record, name) for name in layers)
        except (DamagedFile, OSError) as error:
            problems[subject] = reason_of(error)
            continue
        if complete:
            before += 1
        elif stored:
            left[subject] = layers
        else:
            problems[subject] = (
                "no representations are stored; representations.layers selects the layers to store"
            )
    return _Left(left, before, problems)


def analyse_all(
    chosen: Sequence[TrialReference],
    runs: Path,
    *,
    layer: str | None = None,
    seed: int = 0,
    address: str | None,
    console: Console,
) -> bool:
    """Analyse trials on Ray, one per core at a time.

    Ray reuses its processes, so each imports the analysis packages once. Ray is started only if
    there is something to measure, and stays connected.

    Args:
        chosen: Trials to measure.
        runs: Folder of all records.
        layer: Layer to measure; by default all layers that a trial stored.
        seed: Random seed of the measures.
        address: Address of a Ray cluster; None to use this machine.
        console: Console for messages.

    Returns:
        Whether all trials are now measured.
    """

    def say(subject: TrialReference, outcome: str) -> None:
        console.print(f"{subject.name}: {outcome}", highlight=False, soft_wrap=True)

    left = _look(chosen, runs, layer)
    complete = not left.problems
    for subject, problem in left.problems.items():
        say(subject, problem)
    if left.before:
        console.print(f"{left.before} trials are already measured", highlight=False)
    if not left.layers:
        return complete
    connection.connect(address, runs)
    import ray  # noqa: PLC0415 - after `connection.connect`
    from ray.exceptions import RayError  # noqa: PLC0415

    remote = ray.remote(num_cpus=1)(analyse)
    folder = runs.resolve()
    code = ray.put(at_start())
    waiting = {
        remote.remote(folder, s.key, names, seed, code): s for s, names in left.layers.items()
    }
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        subject = waiting.pop(ready)
        try:
            steps, failed = ray.get(ready)
        except RayError as error:  # for example, its process died
            steps, failed = 0, connection.reason(error)
        complete &= failed is None
        say(subject, failed or f"{steps} steps measured")
    return complete
