"""Experiment files: base settings, axes to sweep over, and profiles that change them.

To add an experiment, add a YAML file to `sweeps/experiments/`, or pass the path of any YAML file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from factorlab.config import RunSettings, Settings
from factorlab.errors import UserError, describe, suggestion
from factorlab.formatting import listed
from factorlab.parsing import annotation_of, parse
from sweeps.planning.overrides import apply, assign
from sweeps.planning.search.spec import (
    THRESHOLD,
    Axes,
    AxisRange,
    SchedulerSpec,
    SearchSpec,
    check_search,
)
from sweeps.planning.tied import Tied, check, follow
from sweeps.planning.yaml_file import read_yaml

DICTIONARY = "the experiment"  # source of one that was given as a dictionary
FOLDER = Path(__file__).parents[1] / "experiments"
DEFAULT_PROFILE = "laptop"

NAME = r"^[a-z0-9][a-z0-9-]{0,63}$"
"""Pattern for names of experiments, profiles and figures, which become file names."""

Name = Annotated[str, StringConstraints(pattern=NAME)]


class Resources(Settings):
    """Resources reserved for one trial, or for one pack of trials."""

    cpu: float = Field(default=1, gt=0)
    """CPU cores to reserve. A trial always computes on one thread."""

    gpu: float = Field(default=1, gt=0, le=1)
    """Share of a GPU, used if the cluster has GPUs. The default is a whole GPU, since one pack
    fills it and several workers would only take turns."""

    timeout: float = Field(default=1800, ge=1e-3, le=1e9)
    """Seconds without progress after which a trial counts as hung. Progress is a training step or a
    network call of an evaluation. The worker is ended, and another one resumes the trial from its
    last checkpoint."""

    pack: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of trials of one shape that train together in one slot; `auto` selects the fastest.
    Results are bit-identical to training alone on a GPU, and equal up to rounding on a CPU."""


class Profile(Settings):
    """A variant of an experiment. Its settings and axes override those of the file."""

    description: str = ""
    """Purpose of this profile, in one sentence."""

    base: dict[str, Any] = Field(default_factory=dict)
    """Nested run settings, merged over those of the file."""

    axes: Axes = Field(default_factory=dict)
    """Values by dotted key of a run setting: a list, or a range for a search. Replaces the file's
    axis of the same key."""

    also: list[Axes] | None = None
    """Additional grids. Each replaces some of the axes or adds axes. Replaces the file's `also`."""

    tied: Tied | None = None
    """Settings that follow an axis: ``{training.steps: {data.size: {"8": 400, "16": 900}}}``.
    Replaces the file's `tied`."""

    resources: Resources | None = None
    """Resources per trial or pack."""

    search: SearchSpec | None = None
    """Algorithm that picks points of the axes; without one, all points of the grid are trained."""

    scheduler: SchedulerSpec | None = None
    """Scheduler that stops runs early; without one, every run is trained to its end."""


class FigureEntry(Settings):
    """A figure to draw. A bare name is short for a figure of that name with default options."""

    name: Name
    """Name of the figure, used in its file names."""

    draw: Name
    """Name of the module in `analysis/figures/sweep` that draws it."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Options of that module."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: object) -> object:
        return {"name": content, "draw": content} if isinstance(content, str) else content


class ExperimentFile(Profile):
    """The content of an experiment file."""

    name: Name
    """Name of the sweep, of its MLflow experiment and of the folder of its figures."""

    profiles: dict[Name, Profile] = Field(default_factory=dict)
    """Profiles by name."""

    figures: list[FigureEntry] = Field(
        default_factory=lambda: [FigureEntry(name="accuracy", draw="curves")]
    )
    """Figures to draw when the sweep ends; by default the accuracy over the axes."""


@dataclass(frozen=True)
class Experiment:
    """An experiment with its profile and overrides applied."""

    name: str
    profile: str
    source: str
    base: dict[str, Any]
    axes: Axes
    """Values by dotted key; the grid is their product."""
    resources: Resources
    also: tuple[Axes, ...] = ()
    """Axes that each additional grid replaces or adds."""
    tied: Tied = field(default_factory=dict)
    figures: tuple[FigureEntry, ...] = ()
    overrides: dict[str, Any] = field(default_factory=dict)
    search: SearchSpec | None = None
    scheduler: SchedulerSpec | None = None
    descriptions: tuple[str, ...] = ()  # what the experiment and its profile are for

    @property
    def sweep(self) -> str:
        """Identifier of the sweep: experiment, profile and, with overrides, a digest of these.

        The parts are joined by underscores, which names cannot contain.
        """
        if not self.overrides:
            return f"{self.name}_{self.profile}"
        text = json.dumps(self.overrides, sort_keys=True)
        return f"{self.name}_{self.profile}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def points(self) -> Iterator[tuple[dict[str, Any], RunSettings]]:
        """Yield every point of the grid, with its values by axis and the resulting run settings.

        Raises:
            UserError: A value is not allowed.
        """
        for grid in (self.axes, *({**self.axes, **other} for other in self.also)):
            values = [axis for axis in grid.values() if not isinstance(axis, AxisRange)]
            assert len(values) == len(grid)  # ranges are for searches
            for point in itertools.product(*values):
                named = dict(zip(grid, point, strict=True))
                yield named, self.at(named)

    def at(self, point: Mapping[str, Any]) -> RunSettings:
        """Return the run settings at a point, given by its values by axis.

        Raises:
            UserError: A value is not allowed.
        """
        return settings_at(self.base, point, self.source, self.tied)

    @property
    def swept(self) -> Axes:
        """Values of each axis, collected over all grids."""
        found: Axes = {}
        for grid in (self.axes, *self.also):
            for key, values in grid.items():
                there = found.setdefault(key, values if isinstance(values, AxisRange) else [])
                if not isinstance(values, AxisRange) and not isinstance(there, AxisRange):
                    there += [value for value in values if value not in there]
        return found


def settings_at(
    base: Mapping[str, Any],
    point: Mapping[str, Any],
    source: str,
    tied: Mapping[str, Any] | None = None,
) -> RunSettings:
    """Return run settings with the values of a point.

    Args:
        base: Nested settings of every run.
        point: Values by dotted key.
        source: Name or file of the experiment, for error messages.
        tied: Settings that follow an axis.

    Raises:
        UserError: A value is not allowed.
    """
    nested = json.loads(json.dumps(base))
    for key, value in {**point, **follow(tied or {}, point, source)}.items():
        assign(nested, key, value, source)
    return parse(nested, source)


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings in which `high` overrides `low`."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below, value) if both and isinstance(below, dict) else value
    return merged


def available() -> list[str]:
    """Return the names of the experiments included in the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def _locate(name_or_file: str) -> Path:
    """Return the path of an experiment file."""
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    if name_or_file in available():
        return FOLDER / f"{name_or_file}.yaml"
    raise UserError(
        f"no experiment '{name_or_file}'; allowed: {listed(available())} or the path of a "
        f".yaml file{suggestion(name_or_file, available())}"
    )


def load(
    experiment: str | Mapping[str, Any],
    profile: str | None = None,
    overrides: dict[str, Any] | None = None,
) -> Experiment:
    """Load an experiment and apply a profile and overrides.

    An override of an axis replaces its values with one value or a list. `axes.KEY` turns any
    setting into an axis. Any other override sets a base setting.

    Args:
        experiment: Name of an experiment of the project, path of a file, or the content of one.
        profile: Name of the profile; by default `laptop` if the file has it, else none.
        overrides: Values by dotted key.

    Raises:
        UserError: The experiment or the profile does not exist, or the file is not a valid
            experiment.
    """
    if isinstance(experiment, Mapping):
        source, content = DICTIONARY, json.loads(json.dumps(experiment))
    else:
        path = _locate(experiment)
        source = experiment if path.parent == FOLDER else str(path)
        content = read_yaml(path)
    file = _checked(content, source)
    chosen, profile = _profile(file, profile, source)
    base, axes = _merge(file.base, chosen.base), {**file.axes, **chosen.axes}
    also = [dict(grid) for grid in (file.also if chosen.also is None else chosen.also) or ()]
    apply(overrides or {}, base, (axes, *also), source)
    for key in {key for grid in (axes, *also) for key in grid}:
        _check_axis(key, "--set" if f"axes.{key}" in (overrides or {}) else source)
    given = {key.removeprefix("axes.") for key in overrides or {}}
    tied = (file.tied if chosen.tied is None else chosen.tied) or {}
    tied = {key: leads for key, leads in tied.items() if key not in given}
    check(tied, {key: values for grid in (*also, axes) for key, values in grid.items()}, source)
    search = chosen.search or file.search
    scheduler = chosen.scheduler or file.scheduler
    check_search(axes, also, search, source)
    resources = chosen.resources or file.resources or Resources()
    if scheduler or (search is not None and search.algorithm != THRESHOLD):
        resources = _alone(resources, source)
    return Experiment(
        name=file.name,
        profile=profile,
        source=source,
        base=base,
        axes=axes,
        also=tuple(also),
        tied=tied,
        resources=resources,
        figures=tuple(file.figures),
        overrides=overrides or {},
        search=search,
        scheduler=scheduler,
        descriptions=tuple(filter(None, (file.description, chosen.description))),
    )


def _checked(content: object, source: str) -> ExperimentFile:
    """Return the content of an experiment file, validated.

    Raises:
        UserError: It is not a valid experiment.
    """
    if not isinstance(content, dict):
        raise UserError(f"{source}: not an experiment: expected keys such as name, base, axes")
    try:
        return ExperimentFile.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise UserError(describe(error, ExperimentFile, source)) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{source}: a value is not plain YAML data: {error}") from None


def _alone(resources: Resources, source: str) -> Resources:
    """Return resources for runs that train alone.

    Raises:
        UserError: The experiment asks for packs.
    """
    if resources.pack not in ("auto", 1):
        raise UserError(
            f"{source}: resources.pack = {resources.pack}: runs of this search or with a "
            "scheduler train alone; allowed: 1, auto"
        )
    return resources.model_copy(update={"pack": 1})


def _check_axis(key: str, source: str) -> None:
    """Reject an axis over a group of settings, since each value would replace the whole group."""
    model = annotation_of(key)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return  # a single setting, or an unknown key, which the grid rejects later
    known = ", ".join(f"{key}.{name}" for name in model.model_fields)
    raise UserError(
        f"{source}: axes.{key}: a group of settings cannot be an axis; allowed: {known}"
    )


def _profile(file: ExperimentFile, wanted: str | None, source: str) -> tuple[Profile, str]:
    """Return the selected profile and its name."""
    name = wanted or DEFAULT_PROFILE
    if wanted is None and name not in file.profiles:
        return Profile(), "default"
    if name not in file.profiles:
        allowed = listed(file.profiles) or "none, since the file has no profiles"
        raise UserError(f"{source}: no profile '{name}'; allowed: {allowed}")
    return file.profiles[name], name
