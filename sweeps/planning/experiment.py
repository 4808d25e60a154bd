"""Experiment files: base settings, axes to sweep over, and profiles that change either.

Adding an experiment is adding one YAML file to `sweeps/experiments/`, or keeping it anywhere and
passing its path.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from factorlab.config import RunSettings, Settings
from factorlab.errors import UserError, describe, suggestion
from factorlab.formatting import listed
from factorlab.parsing import parse
from sweeps.planning.overrides import apply, assign
from sweeps.planning.yaml_file import read_yaml

FOLDER = Path(__file__).parents[1] / "experiments"
DEFAULT_PROFILE = "laptop"

NAME = r"^[a-z0-9][a-z0-9-]{0,63}$"
"""Of experiments, profiles and figures: they become names of files."""

Name = Annotated[str, StringConstraints(pattern=NAME)]
Axes = dict[str, Annotated[list[Any], Field(min_length=1)]]


class Resources(Settings):
    """What one trial occupies while it trains, or one pack of trials."""

    cpu: float = Field(default=1, gt=0)
    """Cores; a trial computes on one thread whatever it occupies."""

    gpu: float = Field(default=1, gt=0, le=1)
    """Share of a GPU, where trials run on CUDA: a pack fills one, and shares would take turns."""

    timeout: float = Field(default=1800, gt=0)
    """Seconds without a training step or a network call of an evaluation after which a trial
    counts as hung: its worker is ended, and another goes on from the last checkpoint."""

    pack: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Trials of one shape that train together in the place of one; `auto` takes what is fastest.
    On a GPU results are the same bits as alone, on a CPU the same but for rounding."""


class Profile(Settings):
    """A variant of an experiment: settings and axes that replace those of the file."""

    description: str = ""
    """What this profile is for, in a sentence."""

    base: dict[str, Any] = Field(default_factory=dict)
    """Nested run settings."""

    axes: Axes = Field(default_factory=dict)
    """Dotted key of a run setting to its values; replaces the file's axis of that key."""

    also: list[Axes] | None = None
    """Further grids: each replaces some of the axes, or adds to them. Replaces the file's."""

    resources: Resources | None = None
    """What one trial occupies."""


class FigureEntry(Settings):
    """A figure to draw; its name alone stands for one that is drawn as it comes."""

    name: Name
    """Names its files."""

    draw: Name
    """Name of its file in `analysis/figures/sweep`."""

    options: dict[str, Any] = Field(default_factory=dict)
    """What that file leaves open."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: object) -> object:
        return {"name": content, "draw": content} if isinstance(content, str) else content


class ExperimentFile(Profile):
    """The content of an experiment file."""

    name: Name
    """Names the sweep, its MLflow experiment and its figures."""

    profiles: dict[Name, Profile] = Field(default_factory=dict)
    """Variants by name."""

    figures: list[FigureEntry] = Field(
        default_factory=lambda: [FigureEntry(name="accuracy", draw="curves")]
    )
    """Figures to draw when the sweep ends; by default the accuracy over what is swept."""


@dataclass(frozen=True)
class Experiment:
    """An experiment with its profile and overrides applied."""

    name: str
    profile: str
    source: str
    base: dict[str, Any]
    axes: dict[str, list[Any]]
    """Dotted keys to values; the grid is their product."""
    resources: Resources
    also: tuple[dict[str, list[Any]], ...] = ()
    """What further grids replace of the axes."""
    figures: tuple[FigureEntry, ...] = ()
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def sweep(self) -> str:
        """Identifies the sweep: experiment and profile, and a digest of overrides if any.

        They are joined by an underscore, which no name holds.
        """
        if not self.overrides:
            return f"{self.name}_{self.profile}"
        text = json.dumps(self.overrides, sort_keys=True)
        return f"{self.name}_{self.profile}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def points(self) -> Iterator[tuple[dict[str, Any], RunSettings]]:
        """Yield every point of the grid: its values by axis, and the run they make.

        Raises:
            UserError: a value is not allowed; nothing has been started then.
        """
        for grid in (self.axes, *({**self.axes, **other} for other in self.also)):
            for values in itertools.product(*grid.values()):
                point = dict(zip(grid, values, strict=True))
                nested = json.loads(json.dumps(self.base))
                for key, value in point.items():
                    assign(nested, key, value, self.source)
                yield point, parse(nested, self.source)

    @property
    def swept(self) -> dict[str, list[Any]]:
        """Every key that is an axis of some grid, with its values in all of them."""
        found: dict[str, list[Any]] = {}
        for grid in (self.axes, *self.also):
            for key, values in grid.items():
                there = found.setdefault(key, [])
                there += [value for value in values if value not in there]
        return found


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings with those of `high` over those of `low`."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below, value) if both and isinstance(below, dict) else value
    return merged


def available() -> list[str]:
    """Return the names of the experiments that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def _locate(name_or_file: str) -> Path:
    """Return the file of an experiment."""
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
    name_or_file: str, profile: str | None = None, overrides: dict[str, Any] | None = None
) -> Experiment:
    """Return an experiment with a profile and overrides applied.

    An override of an axis replaces its values, by one value or a list; `axes.KEY` makes an axis
    of any setting; any other override sets a base setting.

    Args:
        name_or_file: an experiment of the project, or the path of a file.
        profile: its profile; by default `laptop`, or the file as it stands if it has none.
        overrides: dotted keys to values.

    Raises:
        UserError: no such experiment or profile, or the file is not an experiment.
    """
    path = _locate(name_or_file)
    source = name_or_file if path.parent == FOLDER else str(path)
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{source}: not an experiment: expected keys such as name, base, axes")
    try:
        file = ExperimentFile.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise UserError(describe(error, ExperimentFile, source)) from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{source}: a value is not plain YAML data: {error}") from None
    chosen, profile = _profile(file, profile, source)
    base, axes = _merge(file.base, chosen.base), {**file.axes, **chosen.axes}
    also = [dict(grid) for grid in (file.also if chosen.also is None else chosen.also) or ()]
    apply(overrides or {}, base, (axes, *also), source)
    for key in {key for grid in (axes, *also) for key in grid}:
        _check_axis(key, "--set" if f"axes.{key}" in (overrides or {}) else source)
    return Experiment(
        name=file.name,
        profile=profile,
        source=source,
        base=base,
        axes=axes,
        also=tuple(also),
        resources=chosen.resources or file.resources or Resources(),
        figures=tuple(file.figures),
        overrides=overrides or {},
    )


def _check_axis(key: str, source: str) -> None:
    """Refuse an axis over a whole group of settings, whose other settings would be lost."""
    model: type[BaseModel] = RunSettings
    for part in key.split("."):
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return  # a setting, or an unknown key, which is refused with the grid
        model = annotation
    known = ", ".join(f"{key}.{name}" for name in model.model_fields)
    raise UserError(f"{source}: axes.{key}: a group of settings is no axis; allowed: {known}")


def _profile(file: ExperimentFile, wanted: str | None, source: str) -> tuple[Profile, str]:
    """Return the profile to apply and its name."""
    if not file.profiles and wanted is None:
        return Profile(), "default"
    name = wanted or DEFAULT_PROFILE
    if name not in file.profiles:
        allowed = listed(file.profiles) or "none, the file has no profiles"
        raise UserError(f"{source}: no profile '{name}'; allowed: {allowed}")
    return file.profiles[name], name
