"""A configuration with its data set, its key and its record: the starting point of training."""

from __future__ import annotations

from pathlib import Path

from factorlab.config import RunSettings
from factorlab.data.dataset import Dataset, build, evaluation_label_count
from factorlab.storage.record import Identity, Record, identify


class PreparedTrial:
    """A trial before training.

    Args:
        settings: Settings of the run.
        runs: Folder of all records.

    Raises:
        UserError: No label remains for training or for evaluation.
    """

    def __init__(self, settings: RunSettings, runs: Path) -> None:
        self.settings = settings
        self.dataset: Dataset = build(settings.data, settings.seed)
        evaluation_label_count(settings.data, settings.evaluation)
        self.identity: Identity = identify(settings, self.dataset)
        self.record = Record(runs, self.identity.key)
