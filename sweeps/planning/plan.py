"""The plan of a sweep: every trial of the grid, with its key and its settings.

A plan is plain data. It is made from an experiment once all trials are validated, and saved as
``<runs>/sweeps/<sweep>/plan.json``. Status, figures and export read it to find the trials of a
sweep. The progress of the trials is read from their records; see `SweepState`. Saved plans are read
and written by `sweeps.planning.saved_plans`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from factorlab.config import RunSettings, TrainingSettings
from factorlab.data.dataset import build, evaluation_label_count
from factorlab.errors import UserError
from factorlab.parsing import parse
from factorlab.storage.record import Record, State, identify, recorded
from sweeps.planning.experiment import (
    DICTIONARY,
    Experiment,
    FigureEntry,
    Name,
    Resources,
    available,
    settings_at,
)
from sweeps.planning.search.budget import Budget
from sweeps.planning.search.spec import Axes, AxisRange, SchedulerSpec, SearchSpec
from sweeps.planning.tied import Tied
from sweeps.planning.trial_names import trial_name

Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""Key of a trial, which is also the name of its record folder."""


class _Saved(BaseModel):
    """Base of all parts of a plan file. Unknown fields, as of later versions, are ignored."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class PlannedTrial(_Saved):
    """One point of the grid."""

    key: Key

    name: str
    """Readable name, made of the trial's values on the axes."""

    settings: dict[str, Any]
    """Settings of the run as plain values. They are parsed on demand, since the data family of an
    old plan may no longer exist."""

    adopted: dict[str, Any] | None = Field(default=None, exclude_if=lambda point: point is None)
    """Values by axis, if a search uses this finished trial of an earlier sweep. It has no part in
    the number of runs of the search."""

    @cached_property
    def run(self) -> RunSettings:
        """Parsed settings of the run.

        Raises:
            UserError: The settings are not valid in this version.
        """
        return parse(self.settings, self.name)


class Outlook(_Saved):
    """What a search still has to do, as far as it is known."""

    over: str | None = None
    """Why it needs no further run, or None."""

    low: int = 0
    """Number of further runs that nine of ten simulations exceed."""

    middle: int = 0
    """Median number of further runs."""

    high: int = 0
    """Number of further runs that one of ten simulations exceeds."""


class Plan(_Saved):
    """All trials of a sweep, without duplicates, in the order of the grid."""

    experiment: Name

    profile: Name

    sweep: str
    """Identifier of the sweep; see `Experiment.sweep`."""

    source: str = ""
    """Name or file of the experiment, as the user gave it."""

    file: str = Field(default="", exclude_if=lambda path: not path)
    """Absolute path of that file. Empty for an experiment of the project or a dictionary, and in
    plans of earlier versions."""

    descriptions: list[str] = Field(default_factory=list)
    """What the experiment and its profile are for."""

    overrides: dict[str, Any] = Field(default_factory=dict)
    """Values set on the command line, by dotted key."""

    figures: list[FigureEntry] = Field(default_factory=list)
    """Figures to draw when the sweep ends."""

    axes: list[str] = Field(default_factory=list)
    """Dotted keys of the settings that the sweep varies."""

    values: Axes = Field(default_factory=dict)
    """Values of each axis, collected over all grids."""

    resources: Resources = Resources()
    """Resources per trial or pack."""

    base: dict[str, Any] = Field(default_factory=dict)
    """Nested settings of every run."""

    tied: Tied = Field(default_factory=dict)
    """Settings that follow an axis."""

    search: SearchSpec | None = None
    """Algorithm that picks the trials. Those that it has picked are saved as they come; see
    `sweeps.planning.search.picked`."""

    outlook: Outlook | None = Field(default=None, exclude=True)
    """What a threshold search still has to do; None for other plans. It is not saved in the file,
    since it follows from the records."""

    scheduler: SchedulerSpec | None = None
    """Scheduler that stops trials early."""

    duplicates: int = 0
    """Number of grid points with the same key as an earlier point."""

    planned: float = 0.0
    """Time of planning, in seconds since the epoch."""

    trials: tuple[PlannedTrial, ...]

    runs: Path = Field(exclude=True)
    """Folder of all records. It is not saved in the file, since the folder may be moved."""

    @property
    def label(self) -> str:
        """Suffix of the sweep's figure files: the profile and, with overrides, their digest."""
        return self.sweep.removeprefix(f"{self.experiment}_").replace("_", "-")

    @property
    def keys(self) -> list[str]:
        """Keys of all trials."""
        return [trial.key for trial in self.trials]

    def at(self, point: Mapping[str, Any]) -> PlannedTrial:
        """Return the trial at a point, given by its values by axis.

        Raises:
            UserError: A value is not allowed.
        """
        return planned(
            point, settings_at(self.base, point, self.source, self.tied), self.experiment
        )

    def with_trials(self, trials: Sequence[PlannedTrial]) -> Plan:
        """Return the plan with other trials."""
        return self.model_copy(update={"trials": tuple(trials)})

    @property
    def most_steps(self) -> int:
        """Largest number of optimizer steps of a run that a search may pick."""
        axis = self.values.get("training.steps")
        if isinstance(axis, AxisRange):
            return int(max(axis.ends))
        if axis:
            return int(max(axis))
        if "training.steps" in self.tied:
            ((_, followed),) = self.tied["training.steps"].items()
            return int(max(followed.values()))
        default = TrainingSettings.model_fields["steps"].default
        return int(self.base.get("training", {}).get("steps", default))

    def record(self, trial: PlannedTrial) -> Record:
        """Return the record of a trial."""
        return self.record_of(trial.key)

    def record_of(self, key: str) -> Record:
        """Return the record with a key."""
        return Record(self.runs, key)

    def records(self) -> Iterator[tuple[str, Record]]:
        """Yield the name and the record of every trial."""
        for trial in self.trials:
            yield trial.name, self.record(trial)

    def state(self) -> SweepState:
        """Return the plan with the current states of its records.

        Raises:
            OSError: The folder of all records cannot be read.
        """
        recorded(self.runs)  # one refusal for all records is not that of each
        return SweepState(self, {trial.key: self.record(trial).state() for trial in self.trials})


@dataclass(frozen=True)
class SweepState:
    """A snapshot of the progress of a plan's trials."""

    plan: Plan
    states: Mapping[str, State]
    """State of each trial's record, by key."""

    def counts(self) -> Counter[State]:
        """Return how many trials are in each state."""
        return Counter(self.states[trial.key] for trial in self.plan.trials)

    def select(self, *states: State) -> list[PlannedTrial]:
        """Return the trials in the given states, in the order of the grid."""
        return [trial for trial in self.plan.trials if self.states[trial.key] in states]

    def problems(self) -> list[tuple[PlannedTrial, str]]:
        """Return the trials with a damaged or unreadable result, each with the reason."""
        found = [(t, self.plan.record(t).problem()) for t in self.select("damaged", "unreadable")]
        return [(trial, reason) for trial, reason in found if reason is not None]

    @property
    def to_pick(self) -> int:
        """Maximum number of trials that the search still picks; 0 without a search."""
        if self.plan.search is None:
            return 0
        if self.plan.outlook is not None and self.plan.outlook.over is not None:
            return 0
        return self.budget().runs_left(self.plan.most_steps)

    def budget(self) -> Budget:
        """Return what the search has spent. Trials of earlier sweeps do not count."""
        assert self.plan.search is not None
        spent = Budget(self.plan.search)
        for trial in self.plan.trials:
            if trial.adopted is not None:
                continue
            spent.picked(trial.run.training.steps)
            if self.plan.search.hours is not None and self.states[trial.key] == "done":
                result = self.plan.record(trial).result()
                assert result is not None
                spent.ended(result["seconds"])
        return spent

    @property
    def expected_picks(self) -> int:
        """Number of trials that the search is expected to pick."""
        outlook = self.plan.outlook
        return self.to_pick if outlook is None else min(self.to_pick, outlook.middle)

    def pending(self, *, retry_failed: bool = False) -> list[PlannedTrial]:
        """Return the trials to train.

        These are all that are not done. Failed trials are left out unless they are to be retried,
        and trials that a scheduler stopped unless the sweep has no scheduler.
        """
        leave: set[State] = {"done"} if retry_failed else {"done", "failed"}
        if self.plan.scheduler is not None:
            leave.add("stopped")
        return [trial for trial in self.plan.trials if self.states[trial.key] not in leave]


def planned(point: Mapping[str, Any], settings: RunSettings, experiment: str) -> PlannedTrial:
    """Return the trial at a point.

    Args:
        point: Values by axis.
        settings: Settings of the run.
        experiment: Name of the experiment, which names a trial without axes.

    Raises:
        UserError: The settings are not allowed.
    """
    dataset = build(settings.data, settings.seed)
    evaluation_label_count(settings.data, settings.evaluation)
    return PlannedTrial(
        key=identify(settings, dataset).key,
        name=trial_name(point) or experiment,
        settings=settings.model_dump(mode="json"),
    )


def make(experiment: Experiment, runs: Path) -> Plan:
    """Expand an experiment's grid and validate every trial.

    Raises:
        UserError: A point of the grid is not allowed.
    """
    trials: dict[str, PlannedTrial] = {}
    points = 0
    for point, settings in experiment.points() if experiment.search is None else ():
        points += 1
        try:
            trial = planned(point, settings, experiment.name)
        except UserError as error:
            text = str(error).removeprefix("settings: ")
            raise UserError(f"{experiment.source}: {text}") from None
        trials.setdefault(trial.key, trial)
    return Plan(
        experiment=experiment.name,
        profile=experiment.profile,
        sweep=experiment.sweep,
        source=experiment.source,
        file=_file_of(experiment.source),
        descriptions=list(experiment.descriptions),
        overrides=experiment.overrides,
        figures=list(experiment.figures),
        axes=list(experiment.swept),
        values=experiment.swept,
        resources=experiment.resources,
        base=experiment.base,
        tied=experiment.tied,
        search=experiment.search,
        scheduler=experiment.scheduler,
        duplicates=points - len(trials),
        planned=time.time(),
        trials=tuple(trials.values()),
        runs=runs,
    )


def _file_of(source: str) -> str:
    """Return the absolute path of an experiment file, an empty text if the source is none."""
    return "" if source in (*available(), DICTIONARY) else str(Path(source).absolute())


def path_of(runs: Path, sweep: str) -> Path:
    """Return the path of a sweep's plan file."""
    return runs / "sweeps" / sweep / "plan.json"
