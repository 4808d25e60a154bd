"""Query the runs of a sweep in an MLflow store that belong to this runs folder.

A run belongs to the runs folder whose identity is in its tag. Runs without this tag were written by
earlier versions. In the folder's own database, such runs belong to the folder. In a shared store,
they belong to it if the sync state of a record mentions them or their parent.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.tracking.store import own_runs
from sweeps.tracking.store.identity import TAG
from sweeps.tracking.store.locations import local_path
from sweeps.tracking.store.uri import purge_command, redact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

_KEY = re.compile(r"[0-9a-f]{64}")
_PAGE = 1000
_EXPERIMENTS_AT_ONCE = 200


@dataclass(frozen=True)
class Owner:
    """The runs folder whose runs are selected."""

    folders: tuple[str, ...]
    """Identities of the runs folder."""

    database: Path | None
    """The runs folder's own database if it is the store, otherwise None."""

    remembered: frozenset[str] = frozenset()
    """Ids of runs that sync states in this folder mention."""

    def owns(self, run: Run) -> bool:
        """Return whether a run belongs to this runs folder."""
        tags = run.data.tags
        if TAG in tags:
            return tags[TAG] in self.folders
        named = {run.info.run_id, tags.get("mlflow.parentRunId")} & self.remembered
        return self.database is not None or bool(named)


@dataclass(frozen=True)
class Connection:
    """Connection to an open store."""

    client: MlflowClient
    owner: Owner
    store: str
    """Name of the store in saved sync states."""

    artifacts: str | None
    """Artifact location of new experiments, as a URI; None to let the store decide."""


@dataclass
class StoredSweep:
    """Runs of a sweep in a store."""

    experiment: Experiment | None = None
    """Experiment of the parent run, or else the experiment with the expected name, if any."""

    parents: list[Run] = field(default_factory=list)
    """Active parent runs, the oldest first. Only earlier versions could create more than one."""

    deleted_parents: list[Run] = field(default_factory=list)
    children: dict[str, list[Run]] = field(default_factory=dict)
    """Active runs by key of the trial, the oldest first. Runs of `parent` precede all others."""

    deleted: dict[str, Run] = field(default_factory=dict)
    """A run that the user deleted, by key, for trials without an active run."""

    deleted_ids: frozenset[str] = frozenset()
    """Ids of all deleted runs of the sweep."""

    lost_artifacts: Path | None = None
    """Artifact location in a runs folder that no longer exists, or None. If set, no artifacts are
    uploaded."""

    @property
    def parent(self) -> Run | None:
        """The parent run, or None if there is no active one."""
        return self.parents[0] if self.parents else None

    @property
    def closed(self) -> bool:
        """Whether the user deleted the experiment or the parent run, and none is active."""
        gone = self.experiment is not None and self.experiment.lifecycle_stage == "deleted"
        return self.parent is None and (gone or bool(self.deleted_parents))

    @property
    def doubles(self) -> list[Run]:
        """Duplicate runs: all but the first run of each trial, and all but the first parent."""
        others = [run for runs in self.children.values() for run in runs[1:]]
        return [*self.parents[1:], *others]


def lost_artifacts(experiment: Experiment | None) -> Path | None:
    """Return an experiment's artifact location if it is in a runs folder that no longer exists."""
    path = local_path(experiment.artifact_location) if experiment is not None else None
    if path is None or path.name != "artifacts":
        return None
    try:
        return None if path.parent.is_dir() else path
    except OSError:  # for example, permission denied
        return path


def find(client: MlflowClient, sweep: str, experiment: str, owner: Owner) -> StoredSweep:
    """Return the runs of a sweep in a store.

    If the named experiment does not contain the parent run, all experiments are searched, because
    the user may have renamed it.

    Args:
        client: Client of the store.
        sweep: Identifier of the sweep.
        experiment: Name of the MLflow experiment.
        owner: Runs folder whose runs are selected.
    """
    named = client.get_experiment_by_name(experiment)
    if owner.database is not None:
        found = _sorted_out(own_runs.runs_of(owner.database, sweep), owner)
    else:
        wanted = f"tags.`factorlab.sweep` = '{sweep}'"
        runs = search(client, [named.experiment_id], wanted) if named is not None else []
        found = _sorted_out(runs, owner)
        if not found.parents and not found.deleted_parents:
            found = _sorted_out(search(client, experiment_ids(client), wanted), owner)
    known = [*found.parents, *found.deleted_parents]
    if known:
        found.experiment = client.get_experiment(known[0].info.experiment_id)
    else:
        found.experiment = named
    return found


def _sorted_out(runs: Sequence[Run], owner: Owner) -> StoredSweep:
    """Select the owner's runs and sort them into parents, children and deleted runs."""
    runs = sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))
    parents = [r for r in runs if r.data.tags.get("factorlab.role") == "sweep"]
    with_children = {r.data.tags.get("mlflow.parentRunId") for r in runs}
    empty = {
        p.info.run_id
        for p in parents
        if TAG not in p.data.tags and p.info.run_id not in with_children
    }
    parents = [p for p in parents if owner.owns(p) or p.info.run_id in empty]
    ours = Owner(
        owner.folders, owner.database, owner.remembered | {parent.info.run_id for parent in parents}
    )
    found = StoredSweep(
        parents=[p for p in parents if _is_active(p)],
        deleted_parents=[p for p in parents if not _is_active(p)],
    )
    trials = [r for r in runs if _key_of(r) is not None and ours.owns(r)]
    parent = found.parent.info.run_id if found.parent is not None else None
    trials.sort(key=lambda run: run.data.tags.get("mlflow.parentRunId") != parent)
    for run in trials:
        if _is_active(run):
            found.children.setdefault(run.data.tags["factorlab.key"], []).append(run)
    for run in trials:
        key = run.data.tags["factorlab.key"]
        if not _is_active(run) and key not in found.children:
            found.deleted[key] = run
    gone = [r for r in (*found.deleted_parents, *trials) if not _is_active(r)]
    found.deleted_ids = frozenset(run.info.run_id for run in gone)
    return found


def deleted_ids(client: MlflowClient, sweep: str, experiment: str, owner: Owner) -> frozenset[str]:
    """Return the ids of a sweep's deleted runs in one experiment."""
    from mlflow.entities import ViewType  # noqa: PLC0415 - seconds

    if owner.database is not None:
        runs = own_runs.runs_of(owner.database, sweep)
        return _sorted_out(runs, owner).deleted_ids
    wanted = f"tags.`factorlab.sweep` = '{sweep}'"
    gone = search(client, [experiment], wanted, ViewType.DELETED_ONLY)
    return frozenset(run.info.run_id for run in gone if owner.owns(run))


def running(client: MlflowClient, owner: Owner) -> list[Run]:
    """Return all active runs of this folder, of any sweep, with status RUNNING."""
    from mlflow.entities import ViewType  # noqa: PLC0415 - seconds

    wanted = "attributes.status = 'RUNNING' and tags.`factorlab.sweep` LIKE '%'"
    found = search(client, experiment_ids(client), wanted, ViewType.ACTIVE_ONLY)
    return [run for run in found if owner.owns(run)]


def experiment_ids(client: MlflowClient) -> list[str]:
    """Return the ids of all experiments, including deleted ones."""
    from mlflow.entities import ViewType  # noqa: PLC0415 - seconds

    ids: list[str] = []
    token = None
    while True:
        page = client.search_experiments(ViewType.ALL, _PAGE, page_token=token)
        ids += [experiment.experiment_id for experiment in page]
        token = page.token
        if not token:
            return ids


def search(
    client: MlflowClient, experiments: Sequence[str], wanted: str, view: int | None = None
) -> list[Run]:
    """Return all runs of the given experiments that match a filter.

    Args:
        client: Client of the store.
        experiments: Ids of the experiments.
        wanted: MLflow filter string.
        view: MLflow `ViewType`; by default both active and deleted runs.
    """
    from mlflow.entities import ViewType  # noqa: PLC0415 - seconds

    runs: list[Run] = []
    view = ViewType.ALL if view is None else view
    for ids in _chunks(experiments):
        token = None
        while True:
            page = client.search_runs(ids, wanted, view, _PAGE, page_token=token)
            runs += page
            token = page.token
            if not token:
                break
    return runs


def _chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _EXPERIMENTS_AT_ONCE):
        yield list(ids[start : start + _EXPERIMENTS_AT_ONCE])


def _is_active(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "active")


def _key_of(run: Run) -> str | None:
    """Return the key in a trial run's tags, or None. It is validated, as it is used as a path."""
    tags: Mapping[str, str] = run.data.tags
    key = tags.get("factorlab.key", "")
    return key if tags.get("factorlab.role") == "trial" and _KEY.fullmatch(key) else None


def explain(stored: StoredSweep, sweep: str, uri: str, planned: Collection[str]) -> Iterator[str]:
    """Yield a message for each problem in the store that the user has to resolve.

    Args:
        stored: Runs of the sweep in the store.
        sweep: Identifier of the sweep.
        uri: URI of the store.
        planned: Keys of the sweep's trials. Deleted runs of other trials are not reported.
    """
    anew = f"to recreate it, purge what was deleted: {purge_command(uri)}"
    command = f"to restore it: MLFLOW_TRACKING_URI={shlex.quote(redact(uri))} mlflow"
    experiment, gone = stored.experiment, stored.deleted.keys() & planned
    if stored.closed and experiment is not None and experiment.lifecycle_stage == "deleted":
        yield (
            f"MLflow: the experiment '{experiment.name}' with the sweep {sweep} was deleted in the "
            f"store, so nothing is sent; {command} experiments restore --experiment-id "
            f"{experiment.experiment_id}; {anew}"
        )
    elif stored.closed:
        yield (
            f"MLflow: the parent run of {sweep} was deleted in the store, so no runs are added; "
            f"{command} runs restore --run-id {stored.deleted_parents[0].info.run_id}; {anew}"
        )
    elif gone:
        what = "1 run of {} was" if len(gone) == 1 else f"{len(gone)} runs of {{}} were"
        yield (
            f"MLflow: {what.format(sweep)} deleted in the store, so no data is sent; to resume, "
            f"restore what was deleted in the UI (state: Deleted); {anew}"
        )
    if stored.lost_artifacts is not None:
        yield (
            f"MLflow: artifacts of {sweep} belong in {stored.lost_artifacts}, but that runs folder "
            "no longer exists, so they are not sent; if it was moved, link the old path to the new "
            "one"
        )
    if stored.doubles:
        ids = ", ".join(run.info.run_id for run in stored.doubles[:3])
        count = len(stored.doubles)
        more = f" and {count - 3} more" if count > 3 else ""
        what = "1 duplicate run" if count == 1 else f"{count} duplicate runs"
        yield f"MLflow: {what} in {sweep}; delete those you do not need: {ids}{more}"
