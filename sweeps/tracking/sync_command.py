"""`factorlab sync`: bring the MLflow runs of all sweeps up to date with the records.

This includes sweeps whose plan is missing or damaged. Their runs that are still shown as running,
although no process trains them, get the status of their record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console

from factorlab.errors import UserError, user_message
from sweeps.planning import saved_plans
from sweeps.tracking import stored_runs
from sweeps.tracking.mlflow_sync import MlflowSync, connect, sentence
from sweeps.tracking.plan_sync import mlflow_sync_of
from sweeps.tracking.store import access
from sweeps.tracking.store.uri import own_database, redact, tracking_uri

_SWEEP = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""Allowed sweep names; they are used as folder names."""


def check_folder(runs: Path) -> None:
    """Check that a folder is a runs folder.

    Raises:
        UserError: The folder contains neither sweeps nor records nor an MLflow store.
    """
    parts = [runs / name for name in ("sweeps", "trials", "mlflow.db")]
    if not any(part.exists() for part in parts):
        what = "contains no sweep" if runs.is_dir() else "the folder does not exist"
        raise UserError(f"{runs}: {what}; set --runs or FACTORLAB_RUNS to the folder of records")


def synchronise(
    runs: Path, console: Console, keys: Collection[str] | None = None
) -> tuple[int, int]:
    """Bring MLflow up to date.

    Args:
        runs: Folder of all records.
        console: Console for messages.
        keys: Update only sweeps that contain one of these trials; by default all sweeps.

    Returns:
        The number of metric points that were sent, and the number of sweeps that failed.
    """
    total, problems, uri = 0, 0, tracking_uri(runs)
    plans = saved_plans.saved(runs)
    chosen = [p for p in reversed(plans) if keys is None or set(keys) & set(p.keys)]
    for found in chosen:
        sent = _bring(found.sweep, partial(mlflow_sync_of, found), uri, console)
        total, problems = total + (sent or 0), problems + (sent is None)
    if keys is not None or (chosen and problems == len(chosen)):  # if all failed, it is unavailable
        return total, problems
    try:
        for sweep, make in _without_plan(runs, {found.sweep for found in plans}):
            sent = _bring(f"{sweep} (plan missing or damaged)", make, uri, console)
            total, problems = total + (sent or 0), problems + (sent is None)
    except Exception as error:
        _say(
            console, f"sweeps without a plan: MLflow at {redact(uri, uri)}: {sentence(error, uri)}"
        )
        problems += 1
    return total, problems


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _reason(error: Exception, uri: str) -> str:
    """Return why a sync cannot be made, without the credentials of the store."""
    text = sentence(error, uri)
    return text if user_message(error) is not None else f"{type(error).__name__}: {text}"


def _bring(name: str, make: Callable[[], MlflowSync], uri: str, console: Console) -> int | None:
    """Bring one sweep up to date. Return the number of points sent, or None if that failed."""
    sync: MlflowSync | None = None
    try:
        sync = make()
        sent = sync.sync()
    except Exception as error:
        _say(console, f"{name}: {(sync.problem if sync else None) or _reason(error, uri)}")
        return None
    _say(console, f"{name}: {sent} metric points sent")
    for note in sync.notes():
        _say(console, note)
    return sent


def _without_plan(
    runs: Path, planned: Collection[str]
) -> Iterator[tuple[str, Callable[[], MlflowSync]]]:
    """Yield name and sync factory of each sweep without a plan that has running runs."""
    database = own_database(tracking_uri(runs), runs)
    if database is not None and not database.exists():
        return
    try:
        connection, _ = connect(runs, None)
        found = stored_runs.running(connection.client, connection.owner)
    finally:
        access.close()
    names = {}
    for run in found:
        tags = run.data.tags
        sweep = tags["factorlab.sweep"]
        if sweep not in planned and _SWEEP.fullmatch(sweep):
            experiment, profile = tags.get("factorlab.experiment"), tags.get("factorlab.profile")
            names[sweep] = (experiment or sweep, profile or "")
    for sweep, (experiment, profile) in sorted(names.items()):
        yield (
            sweep,
            partial(
                MlflowSync,
                runs=runs,
                sweep=sweep,
                experiment=experiment,
                profile=profile,
                trials=None,
            ),
        )
