"""Single runs: train one and open its record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.api._arguments import console, plain, runs_folder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from factorlab.config import RunSettings
    from factorlab.storage.record import Record, State


@dataclass(frozen=True, eq=False)
class Samples:
    """Generated images that an evaluation saved."""

    step: int
    """Optimizer steps done."""

    images: NDArray[np.uint8]
    """8-bit images, (K, N, N), white = 255."""

    labels: NDArray[np.float64]
    """Labels that were asked for, (K, 2), x and y in pixels."""

    readings: NDArray[np.float64]
    """Labels read off the images, (K, 2), in pixels; NaN if none could be read."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run and its record. Everything is read from disk when it is asked for.

    Examples:
        >>> import factorlab.api as fl
        >>> run = fl.open_run(fl.load("holes").iloc[0])
        >>> run.state, run.settings.data.size, run.settings.training.steps
        ('done', 6, 6)
        >>> sorted(run.metrics)[:2]
        ['accuracy', 'accuracy_half_pixel']
        >>> run.curve[["step", "accuracy"]].iloc[-1].to_dict()["step"]
        6.0
        >>> run.samples.images.shape
        (2, 6, 6)
    """

    path: Path
    """Folder of the record, ``<runs>/trials/<key>``."""

    def __repr__(self) -> str:
        accuracy = self.metrics.get("accuracy")
        reached = "" if accuracy is None else f", accuracy {accuracy:.1%}"
        return f"Run({self.key[:12]}, {self.state}{reached})"

    @property
    def key(self) -> str:
        """The key of the run, 64 hexadecimal digits; the same key means the same result."""
        return self.path.name

    @property
    def record(self) -> Record:
        """The files of the run."""
        from factorlab.storage.record import Record

        return Record(self.path.parents[1], self.key)

    @property
    def state(self) -> State:
        """The state of the record: `done`, `resumable`, `running`, `failed`, `stopped`, ..."""
        return self.record.state()

    @cached_property
    def settings(self) -> RunSettings:
        """The settings that decide the result. Others, such as the device, have their defaults.

        Raises:
            UserError: The record has no settings, or this version does not know them.
        """
        from factorlab.errors import UserError
        from factorlab.parsing import parse

        config = self.record.config()
        if config is None:
            raise UserError(f"{self.path}: the record has no config.json")
        return parse(config["config"], str(self.path / "config.json"))

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the last evaluation by name; empty while the run is not finished.

        Accuracies, ceilings and shares are in [0, 1], losses without a unit, `error_pixels` in
        pixels; `docs/reference/metrics.md` explains each.
        """
        result = self.record.result()
        return {} if result is None else dict(result["metrics"])

    @property
    def curve(self) -> pd.DataFrame:
        """The course of training, one row per line of the journal.

        Columns: `step` (optimizer steps), `time` (seconds since the epoch), `loss` (mean since the
        line before), `learning_rate`, and at evaluations their metrics; NaN elsewhere.
        """
        import pandas as pd

        points, _ = self.record.points()
        rows = [{"step": point.step, "time": point.time, **point.metrics} for point in points]
        return pd.DataFrame(rows, columns=None if rows else ["step", "time", "loss"])

    @property
    def samples(self) -> Samples | None:
        """The images that the last evaluation saved; None if it saved none."""
        steps = sorted(self.record.samples.glob("step-*.npz"))
        if not steps:
            return None
        step = int(steps[-1].stem.removeprefix("step-"))
        arrays = self.record.read_samples(step)
        return None if arrays is None else Samples(step, **arrays)


def run(
    settings: Mapping[str, Any] | RunSettings,
    *,
    runs: str | Path | None = None,
    progress: bool = True,
) -> Run:
    """Train one run in this process, as `factorlab train` does, and return it.

    A finished run is not trained again, and an unfinished one is resumed. Ctrl-C stops after the
    current step with a checkpoint; the same call resumes. The run is trained on one thread, so that
    its bits are those of a sweep.

    Args:
        settings: Nested settings, dotted keys, or both; missing ones take their defaults.
            `factorlab/config/` has all of them with their units.
        runs: Folder of all records; by default ``FACTORLAB_RUNS``, else ``runs``.
        progress: Whether to show a progress bar.

    Raises:
        UserError: A setting is not allowed, the loss is not finite, or another process trains it.
        KeyboardInterrupt: The run was stopped by Ctrl-C; its record can be resumed.

    Examples:
        >>> import factorlab.api as fl
        >>> small = {"data.size": 6, "data.spacing": 1.0, "model": {"width": 4, "encoding": 8}}
        >>> brief = {"training": {"steps": 4, "batch_size": 4}, "evaluation": {"samples": 4}}
        >>> trained = fl.run({**small, **brief, "diffusion.sampling_steps": 2}, progress=False)
        >>> trained.state, trained.curve["step"].tolist()
        ('done', [4])
    """
    from sweeps.execution.single_run import prepare, train

    trial = prepare(_nested(settings), runs_folder(runs, exists=False), "settings")
    found = Run(trial.record.path)
    if found.record.problem() is None and found.state == "done":
        return found
    if not train(trial, console(), shown=progress):
        raise KeyboardInterrupt(f"stopped; the same call resumes {trial.record.path}")
    return found


def _nested(settings: Mapping[str, Any] | RunSettings) -> dict[str, Any]:
    """Return settings as nested plain values."""
    from sweeps.planning.overrides import assign

    if not isinstance(settings, Mapping):
        return settings.model_dump(mode="json")
    nested: dict[str, Any] = {}

    def put(values: Mapping[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                put(value, f"{prefix}{key}.")
            else:
                assign(nested, f"{prefix}{key}", value, "settings")

    put(plain(settings, "settings"), "")
    return nested


def open_run(run: str | Mapping[str, Any] | pd.Series, *, runs: str | Path | None = None) -> Run:
    """Open the record of a run.

    Args:
        run: The key of the run or the beginning of it, or a row of a frame of `load`.
        runs: Folder of all records; by default that of the row, else ``FACTORLAB_RUNS``, else
            ``runs``.

    Raises:
        UserError: There is no such record.

    Examples:
        >>> import factorlab.api as fl
        >>> best = fl.load("scaling").sort_values("accuracy").iloc[-1]
        >>> fl.open_run(best).key == best["key"]
        True
    """
    from factorlab.errors import UserError
    from factorlab.storage.record import find_key

    if isinstance(run, str):
        folder, key = runs_folder(runs), run
    else:
        key, record = str(run.get("key")), run.get("record")
        known = runs is None and isinstance(record, str)
        folder = Path(record).parents[1] if known and isinstance(record, str) else runs_folder(runs)
    if not re.fullmatch(r"[0-9a-f]{1,64}", key):
        raise UserError(f"run = '{key}': not a key; allowed: up to 64 hexadecimal digits")
    return Run(folder / "trials" / find_key(folder, key))
