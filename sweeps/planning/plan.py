"""The plan of a sweep: every trial of the grid with its key and how far it is.

All trials are validated before any is started. A plan is kept under ``<runs>/sweeps/<sweep>/`` so
that status, figures and export know which trials belong to a sweep.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factorlab.config import RunSettings
from factorlab.data.dataset import build, evaluation_labels
from factorlab.errors import UserError
from factorlab.formatting import listed, named
from factorlab.storage.files import DamagedFile, read_json, write_json
from factorlab.storage.record import Record, State, identify
from sweeps.planning.experiment import NAME, Experiment

log = logging.getLogger(__name__)

LONGEST_NAME, LONGEST_VALUE = 200, 40
"""Characters of a trial's name, which MLflow keeps up to 250 of, and of a value in it."""


@dataclass(frozen=True)
class PlannedTrial:
    """One point of the grid."""

    key: str
    name: str
    """Its values on the axes, for people."""

    settings: RunSettings
    tested: int
    """Labels of an evaluation."""

    state: State
    """How far its record was when the plan was made."""


@dataclass(frozen=True)
class Plan:
    """All trials of a sweep, without duplicates, in the order of the grid."""

    experiment: Experiment
    runs: Path
    trials: tuple[PlannedTrial, ...]
    duplicates: int
    """Points of the grid that have the same key as an earlier one."""

    def counts(self) -> Counter[State]:
        """Return how many trials are in each state."""
        return Counter(trial.state for trial in self.trials)

    def pending(self, *, retry_failed: bool = False) -> list[PlannedTrial]:
        """Return the trials to train: all but the done and, unless asked for, the failed."""
        leave = {"done"} if retry_failed else {"done", "failed"}
        return [trial for trial in self.trials if trial.state not in leave]


def _trial_name(point: Mapping[str, object]) -> str:
    """Return the values of a point for people: a line, and another one for every point."""
    return named(" ".join(_shorten(key, value) for key, value in point.items()), LONGEST_NAME)


def _shorten(key: str, value: object) -> str:
    """Return ``name=value`` of an axis, by the last part of its key."""
    if isinstance(value, dict):
        text = "-".join(map(str, value.values()))
    else:
        text = "x".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{key.rpartition('.')[2]}={named(text, LONGEST_VALUE)}"


def make(experiment: Experiment, runs: Path) -> Plan:
    """Expand an experiment's grid and look up every trial's record.

    Raises:
        UserError: a point of the grid is not allowed.
    """
    trials: dict[str, PlannedTrial] = {}
    points = 0
    for point, settings in experiment.points():
        points += 1
        try:
            dataset = build(settings.data, settings.seed)
            tested = len(evaluation_labels(settings, dataset).labels)
        except UserError as error:
            text = str(error).removeprefix("settings: ")
            raise UserError(f"{experiment.source}: {text}") from None
        key = identify(settings, dataset).key
        if key not in trials:
            name = _trial_name(point) or experiment.name
            trials[key] = PlannedTrial(key, name, settings, tested, Record(runs, key).state())
    return Plan(experiment, runs, tuple(trials.values()), points - len(trials))


def refresh(plan: Plan) -> Plan:
    """Return the plan with the states that its records have now."""
    runs = plan.runs
    trials = (replace(trial, state=Record(runs, trial.key).state()) for trial in plan.trials)
    return replace(plan, trials=tuple(trials))


def save(plan: Plan) -> None:
    """Keep the plan.

    Raises:
        UserError: the runs folder cannot be written.
    """
    folder = plan.runs / "sweeps" / plan.experiment.sweep
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / "plan.json",
            {
                "experiment": plan.experiment.name,
                "profile": plan.experiment.profile,
                "sweep": plan.experiment.sweep,
                "source": plan.experiment.source,
                "overrides": plan.experiment.overrides,
                "figures": [entry.model_dump() for entry in plan.experiment.figures],
                "axes": list(plan.experiment.swept),
                "planned": time.time(),
                "trials": [
                    {
                        "key": trial.key,
                        "name": trial.name,
                        "settings": trial.settings.model_dump(mode="json"),
                    }
                    for trial in plan.trials
                ],
            },
        )
    except OSError as error:
        raise UserError(f"{plan.runs}: cannot be written: {error.strerror}") from None


def check_writable(runs: Path) -> None:
    """Make the runs folder and write to it once.

    Raises:
        UserError: it cannot be made or written.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        probe = runs / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{runs}: cannot be written: {error.strerror}") from None


@dataclass(frozen=True)
class SavedPlan:
    """A plan as it was kept."""

    document: dict[str, Any]
    runs: Path

    @property
    def sweep(self) -> str:
        """Identifies the sweep."""
        return str(self.document["sweep"])

    @property
    def label(self) -> str:
        """Profile, and digest of overrides if any: what tells its files from another sweep's."""
        return self.sweep.removeprefix(f"{self.document['experiment']}_").replace("_", "-")

    @property
    def keys(self) -> list[str]:
        """Keys of all trials."""
        return [trial["key"] for trial in self.document["trials"]]

    def records(self) -> Iterator[tuple[str, Record]]:
        """Yield every trial's name and record."""
        for trial in self.document["trials"]:
            yield trial["name"], Record(self.runs, trial["key"])


def saved(runs: Path) -> list[SavedPlan]:
    """Return all plans that were kept, the newest first; a damaged one is named and left out."""
    plans = []
    for path in (runs / "sweeps").glob("*/plan.json"):
        try:
            document = read_json(path)
            if document is not None:
                _check_names(document, path)
                plans.append(SavedPlan(document, runs))
        except DamagedFile as error:
            log.warning("%s; the sweep's own command writes the plan anew", error)
    return sorted(plans, key=lambda plan: -plan.document["planned"])


def _check_names(document: dict[str, Any], path: Path) -> None:
    """Refuse a plan whose names, which become paths, are not those that `save` writes.

    Raises:
        DamagedFile: they are not.
    """
    names = [document["experiment"], document["profile"]]
    names += [entry["name"] for entry in document["figures"] if isinstance(entry, dict)]
    keys = [trial["key"] for trial in document["trials"]]
    if (
        document["sweep"] != path.parent.name
        or not all(re.fullmatch(NAME, name) for name in names)
        or not all(re.fullmatch(r"[0-9a-f]{64}", key) for key in keys)
    ):
        raise DamagedFile(f"{path}: it has names that no plan has")


def find(runs: Path, name: str, profile: str | None = None) -> SavedPlan:
    """Return the newest plan of an experiment, or of a sweep by its full name.

    Raises:
        UserError: there is none.
    """
    plans = saved(runs)
    for plan in plans:
        same = plan.document["experiment"] == name and profile in (None, plan.document["profile"])
        if same or plan.sweep == name:
            return plan
    known = listed(sorted({plan.sweep for plan in plans})) or "none was started"
    with_profile = f" with profile '{profile}'" if profile else ""
    raise UserError(f"{runs}: no sweep of '{name}'{with_profile}; there are: {known}")
