"""Plans on disk: ``<runs>/sweeps/<sweep>/plan.json``, and what a search has picked beside it."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from factorlab.errors import UserError
from factorlab.formatting import listed
from factorlab.storage.files import DamagedFile, read_json, reason_of, write_json
from sweeps.planning.plan import Plan, path_of
from sweeps.planning.search import continuation

log = logging.getLogger(__name__)


class NoSweepError(UserError):
    """No sweep of a name was planned in a runs folder."""


def save(plan: Plan) -> None:
    """Write the plan to its runs folder.

    Raises:
        UserError: The runs folder is not writable.
    """
    path = path_of(plan.runs, plan.sweep)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = plan
        if plan.search is not None:  # what it picks is saved as it comes
            kept = plan.with_trials([t for t in plan.trials if t.adopted is not None])
        write_json(path, kept.model_dump(mode="json"))
    except OSError as error:
        raise UserError(f"{plan.runs}: cannot be written: {error.strerror}") from None


def load(path: Path) -> Plan | None:
    """Return the plan in a file, or None if the file does not exist.

    Raises:
        DamagedFile: The file does not hold a plan written by `save`.
    """
    document = read_json(path)
    if document is None:
        return None
    try:
        plan = Plan.model_validate({**document, "runs": path.parents[2]})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedFile(f"{path}: not a valid plan: unexpected value of '{where}'") from None
    if plan.sweep != path.parent.name:
        raise DamagedFile(f"{path}: this is the plan of another sweep")
    return continuation.restore(plan)


def again(plan: Plan) -> Plan:
    """Return a saved plan as it is now: a search adds trials to it, and its command saves it anew.

    If the file is gone or cannot be used, the plan is as it was, with what the search has added.
    """
    now = None
    try:
        now = load(path_of(plan.runs, plan.sweep))
    except (DamagedFile, OSError) as error:
        reason_of(error)  # raises unless it concerns this file alone
    return continuation.restore(plan) if now is None else now


def saved(runs: Path) -> list[Plan]:
    """Return all saved plans, the newest first. One that cannot be used is reported and skipped."""
    plans = []
    folder = runs / "sweeps"
    for sweep in folder.iterdir() if folder.is_dir() else ():
        try:
            plan = load(sweep / "plan.json")
        except (DamagedFile, OSError) as error:
            reason = reason_of(error)
            log.warning("%s; this sweep is skipped, and running it again rewrites its plan", reason)
            continue
        if plan is not None:
            plans.append(plan)
    return sorted(plans, key=lambda plan: -plan.planned)


def find(runs: Path, name: str, profile: str | None = None) -> Plan:
    """Return the newest plan of an experiment, or the plan of a sweep by its full name.

    Raises:
        NoSweepError: There is no such plan.
        UserError: The sweep of this name has another profile.
    """
    plans = saved(runs)
    for plan in plans:
        same = profile in (None, plan.profile)
        if plan.sweep == name and not same:
            raise UserError(
                f"{runs}: the sweep {name} has the profile '{plan.profile}', not '{profile}'; "
                f"allowed: {name} alone, or {plan.experiment} with a profile"
            )
        if same and name in (plan.experiment, plan.sweep):
            return plan
    known = listed(sorted({plan.sweep for plan in plans})) or "none"
    with_profile = f" with profile '{profile}'" if profile else ""
    raise NoSweepError(f"{runs}: no sweep of '{name}'{with_profile}; known sweeps: {known}")
