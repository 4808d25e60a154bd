"""Load sweeps as data frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from factorlab.api._arguments import runs_folder

if TYPE_CHECKING:
    import pandas as pd


def load(
    name: str,
    *,
    profile: str | None = None,
    runs: str | Path | None = None,
    steps: bool = False,
    tracking_uri: str | None = None,
) -> pd.DataFrame:
    """Load a sweep as a tidy frame: one row per run, or per run and evaluation.

    The columns are those of `factorlab export`, the settings that the sweep varies first, and
    `record`, the folder of the run. `docs/api.md` lists them with their units. A run without a
    result has its state and NaN; see the column `state`. With ``steps=True`` the columns are those
    of `analysis.tables.loading.steps_table`: `step`, `last`, and the measures of layers as well.

    With a tracking URI the runs of the sweep are read from that MLflow store instead of the
    records. Columns that only records have are missing then; a warning names them, and so does
    ``frame.attrs["missing"]``.

    Args:
        name: Name of an experiment (its newest sweep), or full name of a sweep.
        profile: Profile of the experiment; by default any.
        runs: Folder of all records, or of an unpacked archive; by default ``FACTORLAB_RUNS``, else
            ``runs``. Ignored with `tracking_uri`.
        steps: Whether each evaluation has a row, instead of each run.
        tracking_uri: URI of an MLflow store: ``http://...``, ``sqlite:///...``, ``postgresql://...``.

    Raises:
        UserError: There is no such sweep, no run of it has started, or the store does not answer.

    Examples:
        >>> import factorlab.api as fl
        >>> frame = fl.load("scaling")
        >>> list(frame.columns[:4])
        ['data.family', 'data.size', 'data.subsample', 'seed']
        >>> frame.groupby("data.family")["accuracy"].mean().round(1).to_dict()
        {'bump': 0.6, 'bump+stripes': 0.7}
    """
    if tracking_uri is not None:
        return _stored(tracking_uri, name, profile, steps=steps)
    from sweeps.planning import saved_plans
    from sweeps.reporting import reports

    plan = saved_plans.find(runs_folder(runs), name, profile)
    if steps:
        frame = reports.evaluations(plan)
    else:
        frame = reports.table(plan)
        frame = frame.assign(record=[str(plan.record_of(key).path) for key in frame["key"]])
    return swept_first(frame, [*plan.axes, *plan.tied])


def _stored(uri: str, name: str, profile: str | None, *, steps: bool) -> pd.DataFrame:
    from analysis.plotting.axis_labels import varying
    from sweeps.tracking.stored_table import LACKING, stored_table

    frame = stored_table(uri, name, profile, steps=steps)
    missing = [column for column in LACKING if not steps or column == "record"]
    frame = swept_first(frame, [*varying(frame), "seed"])
    frame.attrs["missing"] = missing
    warnings.warn(
        f"an MLflow store does not hold the columns {', '.join(missing)}; records have them",
        stacklevel=3,
    )
    return frame


def swept_first(frame: pd.DataFrame, swept: Iterable[str]) -> pd.DataFrame:
    """Return a frame with the swept settings as its first columns, a group by its settings."""
    groups = [*swept]
    first = [
        column
        for group in groups
        for column in map(str, frame.columns)
        if f"{column}.".startswith(f"{group}.")
    ]
    return frame[[*dict.fromkeys([*first, *map(str, frame.columns)])]]


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the last evaluation of each finished run, from a frame of runs or of evaluations."""
    if "last" in frame.columns:
        return frame[frame["last"].astype(bool)]
    return frame[frame["state"] == "done"] if "state" in frame.columns else frame
