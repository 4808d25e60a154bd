"""Update artifact locations in the database of a runs folder that was moved or copied.

MLflow stores artifact locations as absolute paths only. Whenever the database of a runs folder is
opened, locations below a former path of the folder are therefore rewritten. Other locations, which
the user chose, are kept.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from factorlab.errors import UserError
from factorlab.storage import lease
from sweeps.tracking.store.identity import TAG, Identity
from sweeps.tracking.store.locations import (
    is_runs_folder,
    lies_below,
    local_path,
    replaced,
    root_of,
    spellings,
)

PATIENCE = 30.0
"""Seconds to wait for another program to release the database."""

_LOCATIONS = (
    ("experiments", "artifact_location", None),
    ("runs", "artifact_uri", None),
    ("logged_models", "artifact_location", None),
    ("model_versions", "source", None),
    ("model_versions", "storage_location", None),
    ("workspaces", "default_artifact_root", None),
    ("workspaces", "trace_archival_location", None),
    ("trace_tags", "value", ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")),
)
"""Table and column of every artifact location. If only some rows hold one, also their keys."""

_DOCUMENTS = (("datasets", "dataset_source"),)
"""Table and column of JSON documents that may contain artifact locations."""


@dataclass(frozen=True)
class Relocated:
    """Result of `relocate`."""

    folders: tuple[str, ...]
    """Identities whose runs in the database belong to the runs folder."""

    note: str | None
    """Message for the user if locations were rewritten, otherwise None."""


class InUse(RuntimeError):  # noqa: N818 - a state, not an error of either process
    """Another process writes to the store under the folder's former path."""


def relocate(
    database: Path, runs: Path, identity: Identity, *, in_use_matters: bool = True
) -> Relocated:
    """Rewrite the artifact locations below former paths of the runs folder, in one transaction.

    Only one process at a time may call this.

    Args:
        database: The runs folder's own database, or a copy of it.
        runs: The runs folder, with symbolic links resolved.
        identity: Identity of the runs folder.
        in_use_matters: Whether to raise `InUse`.

    Raises:
        UserError: The file is not a database, or another program has locked it.
        InUse: Another process still syncs a sweep under a former path.
    """
    folders = (identity.folder, *identity.was)
    try:
        connection = sqlite3.connect(database, timeout=PATIENCE, isolation_level=None)
        with closing(connection):
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {
                name: {row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')}
                for (name,) in found.fetchall()
            }
            if "experiment_tags" not in tables:
                return Relocated(folders, None)
            maker = _maker(connection)
            folders = tuple(dict.fromkeys((*folders, *filter(None, [maker]))))
            locations = _Locations(connection, tables, runs, folders)
            return Relocated(folders, locations.relocate(maker is not None, in_use_matters))
    except sqlite3.Error as error:
        raise UserError(f"{database}: cannot be opened: {error}") from None


def _maker(connection: sqlite3.Connection) -> str | None:
    """Return the identity of the runs folder that a database was created for.

    It is stored as a tag of MLflow's experiment 0. This identifies the owner even if the folder's
    identity file was lost, or if only the database was copied. None means that an earlier version
    created the database.
    """
    wanted = "SELECT value FROM experiment_tags WHERE experiment_id = 0 AND key = ?"
    row = connection.execute(wanted, (TAG,)).fetchone()
    return None if row is None else str(row[0])


class _Locations:
    """The artifact locations of a database."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        tables: dict[str, set[str]],
        runs: Path,
        folders: Sequence[str],
    ) -> None:
        self._database, self._tables, self._runs = connection, tables, runs
        self._folders = folders
        self._root = runs / "artifacts"

    def relocate(self, is_marked: bool, in_use_matters: bool) -> str | None:
        """Rewrite the locations, and return a message for the user if any were rewritten.

        Args:
            is_marked: Whether the database carries the identity of a runs folder.
            in_use_matters: Whether to raise `InUse`.

        Raises:
            InUse: Another process still syncs a sweep under a former path.
        """
        ours = self._marked_roots() | ({} if is_marked else self._roots_of_earlier_versions())
        former = {root for root in ours.values() if root != self._root}
        default = self._default_elsewhere()
        if is_marked and not former and not default:
            return None
        followed_from = self._followed_elsewhere() if former and in_use_matters else None
        if followed_from is not None:
            raise InUse(
                f"a process still syncs a sweep of this folder as {followed_from}; artifact "
                "locations are updated once it has ended"
            )
        count = 0
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._mark([0, *ours])
            if default:
                self._move_default()
            for root in sorted(former, key=lambda path: -len(str(path))):
                count += self._rewrite(root)
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        if not count:
            return None
        places = ", ".join(str(root.parent) for root in sorted(former))
        return (
            f"{self._runs}: the folder was moved or copied from {places}; {count} artifact "
            "locations in its MLflow database were updated"
        )

    def _marked_roots(self) -> dict[int, Path]:
        """Return the artifact folders of experiments created by this runs folder, by id."""
        marks = ",".join("?" * len(self._folders))
        rows = self._database.execute(
            "SELECT experiment_id, artifact_location FROM experiments WHERE experiment_id IN "  # noqa: S608 - placeholders
            f"(SELECT experiment_id FROM experiment_tags WHERE key = ? AND value IN ({marks}))",
            (TAG, *self._folders),
        )
        roots = {experiment: root_of(location) for experiment, location in rows}
        return {experiment: root for experiment, root in roots.items() if root is not None}

    def _roots_of_earlier_versions(self) -> dict[int, Path]:
        """Return the artifact folders of experiments created by earlier versions, by id.

        These experiments have no tag. They are recognised by their runs and by the form of their
        location. A location in a folder that is not a runs folder was chosen by the user and is
        excluded.
        """
        rows = self._database.execute(
            "SELECT DISTINCT experiment_id, artifact_location FROM experiments "
            "JOIN runs USING (experiment_id) JOIN tags USING (run_uuid) "
            "WHERE tags.key = 'factorlab.sweep'"
        )
        roots = {
            experiment: local_path(location)
            for experiment, location in rows
            if location.startswith("file://") and location.endswith("/artifacts")
        }
        return {
            experiment: root
            for experiment, root in roots.items()
            if root is not None and not (root.is_dir() and not is_runs_folder(root.parent))
        }

    def _mark(self, experiments: Sequence[int]) -> None:
        """Tag experiments as created by this runs folder, if they exist and have no such tag."""
        for experiment in experiments:
            self._database.execute(
                "INSERT OR IGNORE INTO experiment_tags (experiment_id, key, value) "
                "SELECT experiment_id, ?, ? FROM experiments WHERE experiment_id = ?",
                (TAG, self._folders[0], experiment),
            )

    def _default_elsewhere(self) -> bool:
        """Return whether MLflow's experiment 0 is unused and has a location outside this folder.

        MLflow sets this location to the working folder of the process that created the database.
        """
        row = self._database.execute(
            "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
        ).fetchone()
        here = (self._root.as_uri(), str(self._root))
        if row is None or any(lies_below(row[0], root) for root in here):
            return False
        users = [name for name in ("runs", "logged_models", "trace_info") if name in self._tables]
        return not any(
            self._database.execute(
                f"SELECT 1 FROM {name} WHERE experiment_id = 0 LIMIT 1"  # noqa: S608 - fixed names
            ).fetchone()
            for name in users
        )

    def _move_default(self) -> None:
        self._database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0",
            (f"{self._root.as_uri()}/0",),
        )

    def _followed_elsewhere(self) -> str | None:
        """Return the former path under which a live process syncs a sweep of this folder."""
        for path in self._runs.glob("sweeps/*/mirror.lock"):
            if lease.is_held(path):
                place = os.fsdecode(path.read_bytes())
                if place != str(self._runs):
                    return place or "its former path"
        return None

    def _rewrite(self, former: Path) -> int:
        """Rewrite all locations below a former root, and return their number."""
        count = 0
        for old, new in spellings(former, self._root):
            for table, column, keys in _LOCATIONS:
                if column in self._tables.get(table, ()):
                    count += self._rewrite_column(table, column, keys, old, new)
            for table, column in _DOCUMENTS:
                if column in self._tables.get(table, ()):
                    count += self._rewrite_documents(table, column, old, new)
        return count

    def _rewrite_column(
        self, table: str, column: str, keys: tuple[str, ...] | None, old: str, new: str
    ) -> int:
        below = f"({column} = ? OR substr({column}, 1, ?) = ?)"
        values = [new, len(old) + 1, old, len(old) + 1, f"{old}/"]
        where = below
        if lies_below(new, old):  # do not rewrite locations below `new` again
            where += f" AND NOT {below}"
            values += [new, len(new) + 1, f"{new}/"]
        if keys is not None:
            where += f" AND key IN ({','.join('?' * len(keys))})"
            values += keys
        done = self._database.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {where}",  # noqa: S608 - fixed names
            values,
        )
        return done.rowcount

    def _rewrite_documents(self, table: str, column: str, old: str, new: str) -> int:
        rows = self._database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()  # noqa: S608 - fixed names
        count = 0
        for row, text in rows:
            try:
                document = json.loads(text)
            except (TypeError, ValueError):
                continue
            changed = replaced(document, old, new)
            if changed != document:
                self._database.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid = ?",  # noqa: S608 - fixed names
                    (json.dumps(changed), row),
                )
                count += 1
        return count
