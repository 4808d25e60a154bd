"""The trials that a search has picked, saved as they come: ``picked.jsonl`` beside the plan.

Each line has the point, as values by axis, and the trial. A search that continues is told of all.
A line says why a search ended that nothing in the records limits.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from factorlab.errors import UserError
from sweeps.planning.plan import Plan, PlannedTrial, path_of
from sweeps.planning.search.spec import Axes, AxisRange

_DRAWS = 100
"""Random points that are drawn for each guess at most."""

Point = dict[str, Any]
"""Values by axis."""


def _path(plan: Plan) -> Path:
    return path_of(plan.runs, plan.sweep).with_name("picked.jsonl")


def append(plan: Plan, point: Point, trial: PlannedTrial) -> None:
    """Save a trial that the search picked, before it is trained."""
    _append(plan, {"point": point, "trial": trial.model_dump(mode="json")})


def conclude(plan: Plan, reason: str) -> None:
    """Save why the search of a plan picks no further trial; `over` returns it."""
    _append(plan, {"over": reason, "planned": plan.planned})


def _append(plan: Plan, document: Mapping[str, Any]) -> None:
    path = _path(plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(document)
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # of a line that was torn when a machine died
                line = f"\n{line}"
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def _documents(plan: Plan) -> Iterator[Any]:
    """Yield what each line holds. A line that was torn when a machine died is skipped."""
    try:
        lines = _path(plan).read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return
    for line in lines:
        with suppress(ValueError, RecursionError):
            yield json.loads(line)


def read(plan: Plan) -> dict[str, tuple[Point, PlannedTrial]]:
    """Return the points that were picked and their trials, by key.

    A line that was torn when a machine died is skipped: its trial was not begun.
    """
    found: dict[str, tuple[Point, PlannedTrial]] = {}
    for document in _documents(plan):
        with suppress(ValueError, TypeError, KeyError):
            trial = PlannedTrial.model_validate(document["trial"])
            found.setdefault(trial.key, (document["point"], trial))
    return found


def over(plan: Plan) -> str | None:
    """Return why the search of a saved plan picks no further trial, None if it may.

    A later command, which saves the plan again, may pick further ones.
    """
    reason = None
    for document in _documents(plan):
        if isinstance(document, dict):
            said = document.get("over")
            ours = isinstance(said, str) and document.get("planned") == plan.planned
            reason = said if ours else None
    return reason


def on_axes(plan: Plan) -> dict[str, tuple[Point, PlannedTrial]]:
    """Return the picked points that are on the axes of a plan, with their trials, by key."""
    return {key: found for key, found in read(plan).items() if _is_on(found[0], plan.values)}


def _is_on(point: Point, axes: Axes) -> bool:
    """Return whether a point has a value on each axis and on no other."""
    if not isinstance(point, dict) or point.keys() != axes.keys():
        return False
    for key, values in axes.items():
        if isinstance(values, AxisRange):
            low, high = values.ends
            if not isinstance(point[key], int | float) or not low <= point[key] <= high:
                return False
        elif point[key] not in values:
            return False
    return True


def check_ends(plan: Plan) -> None:
    """Check that the values at the ends of each axis are allowed, with the others at their first.

    Raises:
        UserError: A value is not allowed.
    """
    ends = {k: v.ends if isinstance(v, AxisRange) else v for k, v in plan.values.items()}
    first = {key: values[0] for key, values in ends.items()}
    for key, values in ends.items():
        for value in values:
            plan.at({**first, key: value})


def guesses(plan: Plan, count: int) -> list[PlannedTrial]:
    """Return trials like those that a search will pick, to estimate how long they take.

    They are random points. Their keys, ``pick-0`` and so on, are not those of records.

    Raises:
        UserError: Hardly any point of the axes is allowed.
    """
    found: list[PlannedTrial] = []
    for number in range(_DRAWS * count):
        if len(found) == count:
            break
        with suppress(UserError):  # not every point of the axes is allowed
            trial = plan.at(draw(plan.values, 0, number))
            found.append(trial.model_copy(update={"key": f"pick-{len(found)}"}))
    if len(found) < count:
        raise UserError(f"{plan.source}: axes: of {_DRAWS * count} points {len(found)} are allowed")
    return found


def draw(axes: Axes, seed: int, number: int) -> Point:
    """Return a random point, the same for the same seed and number.

    Args:
        axes: Values by axis; one of a list is drawn uniformly.
        seed: Random seed.
        number: Number of the point.
    """
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - not for security
    point: Point = {}
    for key, values in axes.items():
        share = rng.random()  # one draw for each axis, in [0, 1)
        if not isinstance(values, AxisRange):
            point[key] = values[int(share * len(values))]
            continue
        low, high = values.low, values.high
        if values.kind == "randint":
            point[key] = int(low + int(share * (high - low)))
        elif values.kind == "loguniform":
            point[key] = min(max(low * (high / low) ** share, low), high)
        else:
            point[key] = low + share * (high - low)
    return point


def points(plan: Plan) -> dict[str, Point]:
    """Return the points of all trials of a search's plan, by key."""
    found = {key: point for key, (point, _) in on_axes(plan).items()}
    adopted = {trial.key: trial.adopted for trial in plan.trials if trial.adopted is not None}
    return {trial.key: adopted.get(trial.key) or found[trial.key] for trial in plan.trials}
