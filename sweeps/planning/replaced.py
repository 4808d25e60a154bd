"""What the plan of a sweep replaces: an earlier one of the same name."""

from __future__ import annotations

from pathlib import Path

from factorlab.storage.files import DamagedFile
from sweeps.planning.experiment import FOLDER, available
from sweeps.planning.plan import Plan, load, path_of


def replaced(plan: Plan) -> str | None:
    """Return a sentence on the plan that a sweep replaces, None where nothing is lost by it.

    Two experiment files with one name are one sweep: the later plan takes the place of the earlier.
    """
    try:
        before = load(path_of(plan.runs, plan.sweep))
    except DamagedFile:
        return None
    if before is None or not before.source:
        return None
    lost = len(set(before.keys) - set(plan.keys))
    runs = f"{lost} runs are" if lost != 1 else "1 run is"
    kept = f"{runs} no longer part of it; records and MLflow runs stay"
    earlier = _path_of(before.source)
    if (lost or earlier.exists()) and not _is_same(earlier, _path_of(plan.source)):
        return (
            f"{plan.source}: its name '{plan.experiment}' is that of {before.source}, "
            f"whose plan of the sweep {plan.sweep} this one replaces: {kept}; give one of "
            "the files another name to keep both sweeps"
        )
    return f"{plan.sweep} was planned otherwise before: {kept}" if lost else None


def _path_of(source: str) -> Path:
    return FOLDER / f"{source}.yaml" if source in available() else Path(source)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False
