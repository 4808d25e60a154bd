"""Searches: axes with ranges, the algorithm that picks points of them, and early stopping."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    model_validator,
)

from factorlab.config import Settings
from factorlab.errors import UserError
from factorlab.formatting import listed

Kind = Literal["uniform", "loguniform", "randint"]
"""Distribution of a range: uniform, uniform in the logarithm, or uniform over whole numbers."""


@dataclass(frozen=True)
class AxisRange:
    """A range of values of a setting."""

    kind: Kind

    low: float
    """Smallest value."""

    high: float
    """Largest value; for `randint`, the first whole number above the range, as in Ray Tune."""

    def __str__(self) -> str:
        """Return a phrase such as `0.1 to 1 (uniform)`."""
        low, high = self.ends
        return f"{low:g} to {high:g} ({self.kind})"

    @property
    def ends(self) -> list[float]:
        """The smallest and the largest value."""
        return [self.low, self.high - 1 if self.kind == "randint" else self.high]


def _range(content: Mapping[str, Any]) -> AxisRange:
    """Return the range that a mapping such as ``{uniform: [0.1, 1.0]}`` stands for.

    Raises:
        ValueError: It does not stand for a range.
    """
    kinds = get_args(Kind)
    if len(content) != 1 or next(iter(content)) not in kinds:
        raise ValueError(f"a range has one key; allowed: {listed(kinds)}, such as {_EXAMPLE}")
    ((name, bounds),) = content.items()
    kind = cast("Kind", name)
    number = int if kind == "randint" else (int, float)
    pair = isinstance(bounds, list) and len(bounds) == 2
    if not pair or not all(isinstance(b, number) and not isinstance(b, bool) for b in bounds):
        what = "whole numbers" if kind == "randint" else "numbers"
        raise ValueError(f"{kind} takes two {what}, the low and the high end")
    low, high = bounds
    most = 2**63 if kind == "randint" else sys.float_info.max
    if not -most <= low < high <= most:  # nor infinity nor NaN
        raise ValueError(
            f"{kind}: the low end must be below the high end, and both from {-most:.3g} to "
            f"{most:.3g}"
        )
    if kind == "loguniform" and low <= 0:
        raise ValueError("loguniform: the low end must be above 0")
    return AxisRange(kind, low, high)


_EXAMPLE = "{uniform: [0.1, 1.0]}"


def axis_values(content: object) -> list[Any] | AxisRange:
    """Return the values of an axis, a list or a range.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(content, AxisRange):
        return content
    if isinstance(content, dict):
        return _range(content)
    if not isinstance(content, list):
        raise ValueError(  # noqa: TRY004 - pydantic expects it
            f"an axis takes a list of values, or a range such as {_EXAMPLE}"
        )
    if not content:
        raise ValueError("an axis needs at least one value")
    return content


def _plain(values: list[Any] | AxisRange) -> object:
    if isinstance(values, AxisRange):
        return {values.kind: [values.low, values.high]}
    return values


AxisValues = Annotated[list[Any] | AxisRange, PlainValidator(axis_values), PlainSerializer(_plain)]
Axes = dict[str, AxisValues]

RANDOM, THRESHOLD = "random", "threshold"

_CLASS = r"(?:\.[A-Za-z_]\w*)*\.[A-Z]\w*"
"""Pattern of a class below a package."""

_ALGORITHM = rf"^({RANDOM}|{THRESHOLD}|ray\.tune\.search{_CLASS})$"


class _Part(Settings):
    """A part of Ray Tune that an experiment names, with what it optimizes."""

    metric: Annotated[str, StringConstraints(min_length=1)]
    """Metric of an evaluation, such as `accuracy` or `validation_loss`."""

    mode: Literal["max", "min"]
    """Whether a large or a small value is better."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the class. A seed is 0 unless it is given."""


class SearchSpec(_Part):
    """How points of the axes are picked."""

    algorithm: Annotated[str, StringConstraints(pattern=_ALGORITHM)]
    """`random`, `threshold`, or a searcher of Ray Tune by its full name, such as
    `ray.tune.search.optuna.OptunaSearch`."""

    runs: Annotated[int, Field(ge=1)]
    """Number of runs of the search, including those of earlier commands."""

    steps: Annotated[int, Field(ge=1)] | None = None
    """Number of optimizer steps of all its runs at which it picks no further run."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """Hours of training and evaluation, all finished runs added up, at which it picks no further
    run."""

    parallel: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of runs at the same time; by default as many as fit on the machines. A search
    learns less from runs that train at the same time."""

    @model_validator(mode="after")
    def _check_mode(self) -> SearchSpec:
        if self.algorithm == THRESHOLD and self.mode != "max":
            raise ValueError("mode: a threshold search optimizes nothing; remove it")
        return self

    @model_validator(mode="before")
    @classmethod
    def _threshold(cls, content: object) -> object:
        """Read the short form ``{threshold: {...}, runs: 60}``."""
        if not isinstance(content, dict) or THRESHOLD not in content:
            return content
        rest = {key: value for key, value in content.items() if key != THRESHOLD}
        double = {"algorithm", "mode", "options"} & rest.keys()
        if double:
            raise ValueError(f"{min(double)} is given by the key {THRESHOLD}; remove it")
        options = content[THRESHOLD] or {}
        return {
            "metric": "accuracy",
            **rest,
            "algorithm": THRESHOLD,
            "mode": "max",
            "options": options,
        }


class SchedulerSpec(_Part):
    """How runs are stopped early."""

    algorithm: Annotated[str, StringConstraints(pattern=rf"^ray\.tune\.schedulers{_CLASS}$")]
    """A scheduler of Ray Tune by its full name, such as `ray.tune.schedulers.ASHAScheduler`. Its
    unit of time is the optimizer step, and it decides at every evaluation."""


def check_metric(metric: str, metrics: Mapping[str, float], where: str) -> None:
    """Check that an evaluation has a metric.

    Raises:
        UserError: It does not.
    """
    if metric not in metrics:
        raise UserError(
            f"{where}.metric = {metric}: runs have no such metric; allowed: "
            f"{', '.join(sorted(metrics))}"
        )


def check_search(axes: Axes, also: Sequence[Axes], search: SearchSpec | None, source: str) -> None:
    """Check that only a search has ranges, and that it has one set of axes.

    Args:
        axes: Values by axis.
        also: Axes of additional grids.
        search: The search, or None.
        source: Name or file of the experiment, for error messages.

    Raises:
        UserError: A grid has a range, or a search has several grids or no axis.
    """
    if search is not None:
        if also:
            raise UserError(f"{source}: also: a search has one set of axes; remove 'also'")
        if not axes:
            raise UserError(f"{source}: search: a search needs at least one axis")
        return
    for grid in (axes, *also):
        for key, values in grid.items():
            if isinstance(values, AxisRange):
                raise UserError(
                    f"{source}: axes.{key}: a range needs a search that picks values from it, such "
                    "as search: {algorithm: random, metric: accuracy, mode: max, runs: 20}"
                )
