"""Status, tables and figures of a sweep, read from its records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.errors import UserError
from factorlab.formatting import listed
from factorlab.storage.files import check_writable, write_atomically
from factorlab.storage.record import State
from sweeps.planning.cost.estimate import seconds_left
from sweeps.planning.plan import Plan
from sweeps.reporting import archive
from sweeps.reporting.failures import Failure, caught

if TYPE_CHECKING:
    import pandas as pd

STATES: tuple[State, ...] = (
    "done",
    "running",
    "resumable",
    "damaged",
    "unreadable",
    "stopped",
    "failed",
    "new",
)
"""States in display order."""


@dataclass(frozen=True)
class Status:
    """Progress of a sweep."""

    sweep: str
    counts: dict[str, int]
    """Number of trials by state."""

    seconds_left: float | None
    """Estimated seconds left on one core, from finished trials of the same shapes; None if a
    pending trial has a shape without a finished trial."""

    failures: dict[str, str]
    """Reason of each failed trial, by name."""

    problems: dict[str, tuple[State, str]]
    """State of each damaged or unreadable trial and what is wrong with its files, by name."""

    def plain(self) -> dict[str, Any]:
        """Return the status as plain values."""
        return {
            "sweep": self.sweep,
            **self.counts,
            "seconds_left": self.seconds_left,
            "failures": self.failures,
            "problems": {name: f"{state}: {why}" for name, (state, why) in self.problems.items()},
        }


def status(plan: Plan) -> Status:
    """Return the progress of a sweep, read from its records."""
    state = plan.state()
    counts = state.counts()
    return Status(
        plan.sweep,
        {name: counts[name] for name in STATES},
        seconds_left(state),
        {trial.name: plan.record(trial).failure() or "unknown" for trial in state.select("failed")},
        {trial.name: (state.states[trial.key], reason) for trial, reason in state.problems()},
    )


def progress(results: Sequence[Mapping[str, Any]], planned: int) -> str:
    """Return the progress, devices and training time of a sweep in one sentence.

    Args:
        results: Contents of the `result.json` of all finished trials.
        planned: Number of trials of the sweep.
    """
    text = f"{len(results)} of {planned} trials are done"
    if not results:
        return f"{text}."
    devices = ", ".join(sorted({result["device"] for result in results}))
    minutes = sum(sum(result["seconds"].values()) for result in results) / 60
    last = datetime.fromtimestamp(max(result["finished"] for result in results), UTC)
    return (
        f"{text}, the last on {last:%Y-%m-%d}, on {devices}: {minutes:.0f} minutes of training and "
        "evaluation in total."
    )


def table(plan: Plan) -> pd.DataFrame:
    """Return the sweep's table of trials; see `analysis.tables.loading.trials_table`.

    Raises:
        UserError: No trial has started.
    """
    from analysis.tables.loading import trials_table  # noqa: PLC0415 - pandas costs half a second

    rows = trials_table(plan.runs, plan.keys)
    if rows.empty:
        raise UserError(f"{plan.runs}: no trial of '{plan.sweep}' has started")
    return rows


def evaluations(plan: Plan) -> pd.DataFrame:
    """Return the sweep's table of evaluations; see `analysis.tables.loading.steps_table`."""
    from analysis.tables.loading import steps_table  # noqa: PLC0415 - pandas costs half a second

    return steps_table(plan.runs, {trial.key: trial.settings for trial in plan.trials})


def draw(
    plan: Plan, folder: Path, names: Collection[str] | None = None
) -> tuple[list[Path], list[Failure]]:
    """Draw the sweep's figures from its records, as PNG, PDF and one CSV per panel.

    An exception in one figure does not affect the others.

    Args:
        plan: Plan of the sweep.
        folder: Folder of all figures. Files go to ``<folder>/<experiment>/<figure>-<profile>...``.
        names: Names of the figures to draw; all by default.

    Returns:
        The files written, and the failures.

    Raises:
        UserError: There is nothing to draw yet.
    """
    from analysis.errors import NotDrawableError  # noqa: PLC0415
    from analysis.figures import sweep as sweep_figures  # noqa: PLC0415 - matplotlib costs a second
    from analysis.plotting import figure_io  # noqa: PLC0415 - matplotlib costs a second
    from percolation import ParameterError  # noqa: PLC0415

    rows = evaluations(plan)
    if not rows["last"].any():
        raise UserError(f"{plan.runs}: no trial of '{plan.sweep}' is done; nothing to draw yet")
    written: list[Path] = []
    failed: list[Failure] = []
    target = folder / plan.experiment
    for entry in plan.figures:
        if names is not None and entry.name not in names:
            continue
        with caught(f"figure '{entry.name}'", failed, NotDrawableError, ParameterError):
            module = sweep_figures.load(entry.draw)
            drawn = module.draw(rows, sweep_figures.options_of(module, entry.options))
            written += figure_io.save(drawn, target, f"{entry.name}-{plan.label}")
    return written, failed


def illustrate(names: Sequence[str] | None, folder: Path, failed: list[Failure]) -> Iterator[Path]:
    """Draw the figures that require no trial to ``<folder>/illustrations``.

    An exception in one figure does not affect the others.

    Args:
        names: Names of figures; None for all.
        folder: Folder of all figures.
        failed: List to which failures are appended.

    Yields:
        The path of each file after it was written.

    Raises:
        UserError: A figure does not exist, or the folder is not writable.
    """
    from analysis.figures import static as static_figures  # noqa: PLC0415 - matplotlib costs a second
    from analysis.plotting import figure_io  # noqa: PLC0415 - matplotlib costs a second

    known = static_figures.available()
    for name in names or []:
        if name not in known:
            raise UserError(f"there is no figure '{name}'; allowed: {listed(known)}")
    target = folder / "illustrations"
    check_writable(target)  # fail early
    for name in names or known:
        written: list[Path] = []
        with caught(f"figure '{name}'", failed):
            written = figure_io.save(static_figures.load(name).draw(), target, name)
        yield from written


def export(plan: Plan, path: Path) -> int:
    """Write the sweep's trials to a file, and return their number.

    A .parquet or .csv file is a table of them, a .tar.xz file an archive of their records.

    Raises:
        UserError: The file has another extension, it cannot be written, or no trial has started.
    """
    write = next((write for end, write in _FORMATS.items() if path.name.endswith(end)), None)
    if write is None:
        raise UserError(
            f"{path}: unknown file type; allowed: a name that ends in {listed(_FORMATS)}"
        )
    try:
        return write(plan, path)
    except OSError as error:
        at_fault = error.filename or path  # it may be a file of a record
        raise UserError(f"{at_fault}: {error.strerror or error}; {path} is not written") from None


def _write_table(plan: Plan, path: Path) -> int:
    rows = table(plan)
    for column in rows.columns:
        values = rows[column]
        # Write columns with pairs as text, since not all readers support pairs or mixed types.
        if values.map(lambda v: isinstance(v, tuple)).any():
            rows[column] = values.map(
                lambda v: "x".join(map(str, v)) if isinstance(v, tuple) else str(v)
            )
    csv = path.suffix == ".csv"
    content = rows.to_csv(index=False).encode() if csv else rows.to_parquet(index=False)
    write_atomically(path, content)
    return len(rows)


_FORMATS: dict[str, Callable[[Plan, Path], int]] = {
    ".parquet": _write_table,
    ".csv": _write_table,
    archive.SUFFIX: archive.write,
}
"""Functions that write an export, by the end of the file's name."""
