"""The plan of a sweep: every trial of the grid, with its key and its settings.

A plan is data. It is made from an experiment, after all its trials were validated, and saved as
``<runs>/sweeps/<sweep>/plan.json``, so that status, figures and export know which trials belong to
a sweep. How far its trials are is asked of their records: see `SweepState`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from factorlab.config import RunSettings
from factorlab.data.dataset import build, evaluation_label_count
from factorlab.errors import UserError
from factorlab.formatting import listed, named
from factorlab.parsing import parse
from factorlab.storage.files import DamagedFile, read_json, write_json
from factorlab.storage.record import Record, State, identify
from sweeps.planning.experiment import Axes, Experiment, FigureEntry, Name, Resources

log = logging.getLogger(__name__)

LONGEST_NAME, LONGEST_VALUE = 200, 40
"""Characters of a trial's name, which MLflow keeps up to 250 of, and of a value in it."""

Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""Key of a trial; it becomes the name of a folder."""


class _Saved(BaseModel):
    """Base of what stands in a plan file; fields that later versions add are ignored."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class PlannedTrial(_Saved):
    """One point of the grid."""

    key: Key

    name: str
    """Its values on the axes, for people."""

    settings: dict[str, Any]
    """The run's settings as plain values. They are parsed when they are needed: the data family of
    an old plan may not exist any more."""

    @cached_property
    def run(self) -> RunSettings:
        """The run's settings.

        Raises:
            UserError: they are not allowed in this version.
        """
        return parse(self.settings, self.name)


class Plan(_Saved):
    """All trials of a sweep, without duplicates, in the order of the grid."""

    experiment: Name

    profile: Name

    sweep: str
    """Identifies the sweep: `Experiment.sweep`."""

    source: str = ""
    """The experiment's name or file."""

    overrides: dict[str, Any] = Field(default_factory=dict)
    """Dotted keys that were set on the command line, to their values."""

    figures: list[FigureEntry] = Field(default_factory=list)
    """Figures to draw when the sweep ends."""

    axes: list[str] = Field(default_factory=list)
    """Dotted keys of the settings that the sweep varies."""

    values: Axes = Field(default_factory=dict)
    """The values of each axis in all grids."""

    resources: Resources = Resources()
    """What one trial, or one pack, occupies."""

    duplicates: int = 0
    """Points of the grid that have the same key as an earlier one."""

    planned: float = 0.0
    """When the plan was made, in seconds since the epoch."""

    trials: tuple[PlannedTrial, ...]

    runs: Path = Field(exclude=True)
    """Folder of all records; it is not part of the file, since folders move."""

    @property
    def label(self) -> str:
        """Profile, and digest of overrides if any: tells its files from another sweep's."""
        return self.sweep.removeprefix(f"{self.experiment}_").replace("_", "-")

    @property
    def keys(self) -> list[str]:
        """Keys of all trials."""
        return [trial.key for trial in self.trials]

    def record(self, trial: PlannedTrial) -> Record:
        """Return the record of a trial."""
        return Record(self.runs, trial.key)

    def records(self) -> Iterator[tuple[str, Record]]:
        """Yield every trial's name and record."""
        for trial in self.trials:
            yield trial.name, self.record(trial)

    def state(self) -> SweepState:
        """Return the plan with the states that its records have now."""
        return SweepState(self, {trial.key: self.record(trial).state() for trial in self.trials})


@dataclass(frozen=True)
class SweepState:
    """How far the trials of a plan are, at one time."""

    plan: Plan
    states: Mapping[str, State]
    """State of each trial's record, by key."""

    def counts(self) -> Counter[State]:
        """Return how many trials are in each state."""
        return Counter(self.states[trial.key] for trial in self.plan.trials)

    def select(self, *states: State) -> list[PlannedTrial]:
        """Return the trials in some states, in the order of the grid."""
        return [trial for trial in self.plan.trials if self.states[trial.key] in states]

    def pending(self, *, retry_failed: bool = False) -> list[PlannedTrial]:
        """Return the trials to train: all but the done and, unless asked for, the failed."""
        leave = {"done"} if retry_failed else {"done", "failed"}
        return [trial for trial in self.plan.trials if self.states[trial.key] not in leave]


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
    """Expand an experiment's grid and validate every trial.

    Raises:
        UserError: a point of the grid is not allowed.
    """
    trials: dict[str, PlannedTrial] = {}
    points = 0
    for point, settings in experiment.points():
        points += 1
        try:
            dataset = build(settings.data, settings.seed)
            evaluation_label_count(settings.data, settings.evaluation)
        except UserError as error:
            text = str(error).removeprefix("settings: ")
            raise UserError(f"{experiment.source}: {text}") from None
        key = identify(settings, dataset).key
        if key not in trials:
            trials[key] = PlannedTrial(
                key=key,
                name=_trial_name(point) or experiment.name,
                settings=settings.model_dump(mode="json"),
            )
    return Plan(
        experiment=experiment.name,
        profile=experiment.profile,
        sweep=experiment.sweep,
        source=experiment.source,
        overrides=experiment.overrides,
        figures=list(experiment.figures),
        axes=list(experiment.swept),
        values=experiment.swept,
        resources=experiment.resources,
        duplicates=points - len(trials),
        planned=time.time(),
        trials=tuple(trials.values()),
        runs=runs,
    )


def path_of(runs: Path, sweep: str) -> Path:
    """Return the file of a sweep's plan."""
    return runs / "sweeps" / sweep / "plan.json"


def save(plan: Plan) -> None:
    """Write the plan into its runs folder.

    Raises:
        UserError: the runs folder cannot be written.
    """
    path = path_of(plan.runs, plan.sweep)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, plan.model_dump(mode="json"))
    except OSError as error:
        raise UserError(f"{plan.runs}: cannot be written: {error.strerror}") from None


def load(path: Path) -> Plan | None:
    """Return the plan of a file, None where no file is.

    Raises:
        DamagedFile: it is not a plan that `save` wrote.
    """
    document = read_json(path)
    if document is None:
        return None
    try:
        plan = Plan.model_validate({**document, "runs": path.parents[2]})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedFile(f"{path}: {where}: it is not what a plan has there") from None
    if plan.sweep != path.parent.name:
        raise DamagedFile(f"{path}: it is the plan of another sweep")
    return plan


def saved(runs: Path) -> list[Plan]:
    """Return all saved plans, the newest first; a damaged one is reported and skipped."""
    plans = []
    for path in (runs / "sweeps").glob("*/plan.json"):
        try:
            plan = load(path)
        except DamagedFile as error:
            log.warning("%s; the sweep's own command writes the plan anew", error)
            continue
        if plan is not None:
            plans.append(plan)
    return sorted(plans, key=lambda plan: -plan.planned)


def find(runs: Path, name: str, profile: str | None = None) -> Plan:
    """Return the newest plan of an experiment, or of a sweep by its full name.

    Raises:
        UserError: there is none.
    """
    plans = saved(runs)
    for plan in plans:
        same = plan.experiment == name and profile in (None, plan.profile)
        if same or plan.sweep == name:
            return plan
    known = listed(sorted({plan.sweep for plan in plans})) or "none was started"
    with_profile = f" with profile '{profile}'" if profile else ""
    raise UserError(f"{runs}: no sweep of '{name}'{with_profile}; there are: {known}")
