"""Notice when a plan replaces a different earlier plan of the same sweep."""

from __future__ import annotations

from pathlib import Path

from factorlab.storage.files import DamagedFile
from sweeps.planning.experiment import FOLDER, available
from sweeps.planning.plan import Plan, path_of
from sweeps.planning.saved_plans import load


def replaced(plan: Plan) -> str | None:
    """Return a notice about the saved plan that this plan replaces, or None if nothing is lost.

    Two experiment files with the same name share one sweep, so the later plan replaces the earlier.
    """
    try:
        before = load(path_of(plan.runs, plan.sweep))
    except DamagedFile:
        return None
    if before is None or not before.source:
        return None
    lost = len(set(before.keys) - set(plan.keys))
    runs = f"{lost} runs are" if lost != 1 else "1 run is"
    kept = f"{runs} no longer part of the sweep; their records and MLflow runs are kept"
    earlier = _path_of(before)
    if (lost or earlier.exists()) and not _is_same(earlier, _path_of(plan)):
        return (
            f"{plan.source}: the name '{plan.experiment}' is also used by "
            f"{before.file or before.source}, whose plan of the sweep "
            f"{plan.sweep} is replaced: {kept}; rename one of the "
            "experiments to keep both sweeps"
        )
    return f"{plan.sweep}: the plan has changed: {kept}" if lost else None


def _path_of(plan: Plan) -> Path:
    if plan.source in available():
        return FOLDER / f"{plan.source}.yaml"
    return Path(plan.file or plan.source).absolute()  # earlier versions saved relative paths


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False
