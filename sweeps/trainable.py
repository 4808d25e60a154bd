"""The worker side: a Ray Tune trainable that trains one trial after another in one process."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from ray import tune

from factorlab.config import parse
from factorlab.errors import TrialFailed
from factorlab.record import Busy
from factorlab.trial import Progress, Trial

REPORT_EVERY = 2.0
"""Seconds of training between two reports to the driver."""


class TrialTrainable(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Trains the trial of its configuration; reused for the next one when it is done.

    Configuration: `trial` with `key`, `settings` (plain values) and `runs` (path of the runs
    folder). The trial's own record is what it resumes from, so Tune is given no checkpoints.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first trial."""
        torch.set_num_threads(1)  # as many trials as cores, each on one thread
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process, which saves seconds of imports."""
        self._progress.close()
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        config = config["trial"]
        trial = Trial(parse(config["settings"]), Path(config["runs"]))
        if trial.identity.key != config["key"]:
            raise RuntimeError(
                f"this worker computes key {trial.identity.key[:12]} where the driver planned "
                f"{config['key'][:12]}: they run different versions of factorlab"
            )
        self._progress: Generator[Progress, None, None] = trial.run()
        self._accuracy: float | None = None

    def step(self) -> dict[str, Any]:
        """Train for a while and report.

        Returns:
            `outcome` (`running`, `done`, `failed` or `elsewhere`), `at`, `of` and `accuracy`.
        """
        deadline = time.monotonic() + REPORT_EVERY
        try:
            for progress in self._progress:
                self._accuracy = progress.accuracy
                if time.monotonic() >= deadline:
                    return {
                        "outcome": "running",
                        "at": progress.step,
                        "of": progress.steps,
                        "accuracy": progress.accuracy,
                    }
        except TrialFailed:  # the record says why; trying again would repeat it
            return {"outcome": "failed", "done": True}
        except Busy:
            return {"outcome": "elsewhere", "done": True}
        return {"outcome": "done", "accuracy": self._accuracy, "done": True}

    def cleanup(self) -> None:
        """Save a checkpoint of the trial in hand, if it is not done."""
        self._progress.close()
