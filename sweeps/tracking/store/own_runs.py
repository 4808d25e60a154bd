"""Read the runs of a sweep directly from the runs folder's own database.

MLflow's search loads all parameters and metrics, which takes 3 ms per run. This module reads only
run metadata and tags, which takes 0.1 ms per run.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run

_RUNS = """
SELECT run_uuid, CAST(experiment_id AS TEXT), user_id, status, start_time, end_time,
       lifecycle_stage, artifact_uri, name
FROM runs WHERE run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'factorlab.sweep' AND value = ?)
"""

_TAGS = """
SELECT run_uuid, key, value FROM tags
WHERE run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'factorlab.sweep' AND value = ?)
"""


def runs_of(database: Path, sweep: str) -> list[Run]:
    """Return all runs of a sweep, including deleted ones, with tags but without other data.

    Raises:
        sqlite3.Error: The database cannot be opened, or its schema is not that of this MLflow
            version.
    """
    from mlflow.entities import Run, RunData, RunInfo, RunTag  # noqa: PLC0415 - seconds

    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("BEGIN")  # both queries see the same state
        rows = connection.execute(_RUNS, (sweep,)).fetchall()
        tags: dict[str, list[RunTag]] = {}
        for run, key, value in connection.execute(_TAGS, (sweep,)):
            tags.setdefault(run, []).append(RunTag(key, value))
    return [Run(RunInfo(*row), RunData(tags=tags[row[0]])) for row in rows]
