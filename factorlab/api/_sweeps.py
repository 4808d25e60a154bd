"""Run a sweep, and compare two."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.api._arguments import console, plain, runs_folder
from factorlab.api._frames import load

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.reporting.comparison import Comparison as Compared


def sweep(
    experiment: str | Path | Mapping[str, Any],
    *,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    runs: str | Path | None = None,
    figures: str | Path = "figures",
    address: str | None = None,
    retry_failed: bool = False,
) -> pd.DataFrame:
    """Run a sweep on Ray, as `factorlab sweep` does, and return its frame of runs.

    What is finished is not trained again: a second call returns after reading the records. Ctrl-C
    ends the sweep with checkpoints; the same call resumes.

    Args:
        experiment: Name of an experiment of the project, path of a YAML file, or its content as a
            dictionary (docs/experiments.md explains the keys).
        profile: Profile of the experiment; by default `laptop` if it has profiles.
        overrides: Values by dotted key, as in ``--set``: ``{"data.sigma": 2.0, "seed": [0, 1]}``.
        runs: Folder of all records; by default ``FACTORLAB_RUNS``, else ``runs``.
        figures: Folder of all figures, which are drawn when the sweep ends.
        address: Address of a Ray cluster, ``auto`` or ``HOST:PORT``; None for this machine.
        retry_failed: Train failed runs again.

    Returns:
        One row per run; see `load`. If some runs have no result, a warning says so.

    Raises:
        UserError: The experiment is not valid, or a folder cannot be written.
        KeyboardInterrupt: The sweep was interrupted.

    Examples:
        >>> import factorlab.api as fl
        >>> base = {"data": {"size": 6, "spacing": 1.0}, "model": {"width": 4, "encoding": 8},
        ...         "training": {"steps": 6, "batch_size": 4}, "evaluation": {"samples": 4},
        ...         "diffusion": {"sampling_steps": 2}}
        >>> experiment = {"name": "mine", "base": base, "axes": {"seed": [0, 1]}, "figures": []}
        >>> frame = fl.sweep(experiment)  # doctest: +SKIP
    """
    from factorlab.errors import INTERRUPTED, UserError
    from sweeps.planning import experiment as experiments
    from sweeps.ray_runtime.ray_settings import CLIENT
    from sweeps.series import run_sweeps
    from sweeps.tracking.mlflow_sync import open_store

    if address is not None and address.startswith(CLIENT):
        raise UserError(
            f"address = '{address}': Ray Client is only for the command, factorlab sweep "
            "--address; allowed: auto, HOST:PORT"
        )
    given = plain(experiment, "experiment") if isinstance(experiment, Mapping) else str(experiment)
    chosen = experiments.load(given, profile, plain(overrides or {}, "overrides"))
    folder, messages = runs_folder(runs, exists=False), console()
    with _as_the_command():
        note = open_store(folder)
        if note is not None:
            messages.print(note, highlight=False, soft_wrap=True)
        code = run_sweeps(
            [chosen],
            folder,
            Path(figures),
            retry_failed=retry_failed,
            address=address,
            console=messages,
        )
    if code == INTERRUPTED:
        raise KeyboardInterrupt("the sweep was interrupted; the same call resumes it")
    if code:
        warnings.warn(f"{chosen.sweep}: not everything is done; see the messages", stacklevel=2)
    return load(chosen.sweep, runs=folder)


@contextmanager
def _as_the_command() -> Iterator[None]:
    """Provide what the command line provides: caches, and workers that ignore this folder."""
    from factorlab.system import cache_folder

    cache_folder.provide()
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sweeps side by side. A difference is that of the second, B, less the first, A."""

    summary: str
    """The result in a few sentences."""

    settings: pd.DataFrame
    """Settings that differ: `setting`, `values_a`, `values_b` (tuples; None is "not set"), and
    `swept`, whether either sweep varies it."""

    cells: pd.DataFrame
    """One row per combination of swept settings that both have: these settings, `runs_a` and
    `runs_b` (finished runs), `pairs`, `identical` (pairs with the same weights, bit for bit),
    `mean_a`, `mean_b`, and `difference` with the ends `low` and `high` of its 95 % interval, all in
    the unit of the metric. An interval is infinite where there are too few runs for one."""

    pairs: pd.DataFrame
    """One row per pair of runs with the same settings and seed: `key_a`, `key_b`, `value_a`,
    `value_b`, `difference` (unit of the metric), `same_key` and `identical`."""

    only_a: pd.DataFrame
    """Planned runs of A alone: swept settings and `state`."""

    only_b: pd.DataFrame
    """Planned runs of B alone."""

    difference: float | None
    """Mean difference over all pairs, in the unit of the metric; None without pairs."""

    interval: tuple[float, float] | None
    """Its 95 % interval, by Student's t over blocks of pairs with one seed and one N."""

    p_value: float | None
    """Probability of so large a mean difference if the two runs of a block could be swapped
    (permutation test); None without pairs."""

    compared: Compared
    """The comparison as the command uses it."""

    def __repr__(self) -> str:
        return f"A: {self.compared.name_a}\nB: {self.compared.name_b}\n{self.summary}"


def compare(
    a: str,
    b: str,
    *,
    metric: str = "accuracy",
    runs: str | Path | None = None,
    runs_b: str | Path | None = None,
) -> Comparison:
    """Compare two sweeps, as `factorlab compare` does.

    Runs match if they agree in the seed and in all swept settings with a value in both sweeps, so
    sweeps of different profiles can be compared, and one sweep at two versions of the code.

    Args:
        a: Name of an experiment, or full name of a sweep.
        b: Another one, or the same in another runs folder.
        metric: Metric of the last evaluation.
        runs: Folder of the records of `a`; by default ``FACTORLAB_RUNS``, else ``runs``.
        runs_b: Folder of the records of `b`; by default that of `a`.

    Raises:
        UserError: There is no such sweep, both are the same, or no finished run has the metric.

    Examples:
        >>> import factorlab.api as fl
        >>> compared = fl.compare("scaling_laptop", "scaling_smoke")
        >>> len(compared.pairs), round(compared.difference, 2)
        (28, -0.13)
        >>> compared.cells[["data.size", "pairs", "difference", "low", "high"]].shape
        (14, 5)
    """
    from sweeps.reporting import comparison

    other = None if runs_b is None else runs_folder(runs_b)
    found = comparison.compare(a, b, runs=runs_folder(runs), runs_b=other, metric=metric)
    overall, test = found.found.overall, found.found.test
    return Comparison(
        summary=found.summary,
        settings=found.found.settings,
        cells=found.found.cells,
        pairs=found.found.pairs,
        only_a=found.found.only_a,
        only_b=found.found.only_b,
        difference=None if overall is None else overall.value,
        interval=None if overall is None else (overall.low, overall.high),
        p_value=None if test is None else test.p_value,
        compared=found,
    )
