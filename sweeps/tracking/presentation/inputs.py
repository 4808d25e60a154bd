"""The data set of a trial as an input of its MLflow run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from factorlab.storage.record import Record
from sweeps.planning.trial_names import trial_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

_NAMED = ("size", "family", "sigma", "subsample")  # in the name of a data set
DIGEST_LENGTH = 16
"""Characters of the digest that MLflow shows; it allows 36. The profile has all of them."""


def log_training_set(client: MlflowClient, run: str, record: Record) -> None:
    """Log the data set of a trial. One that the run already has is not logged again.

    Raises:
        DamagedFile: The configuration cannot be read.
    """
    config = record.config()
    if config is not None and "dataset" in config:  # records of the first versions have none
        client.log_inputs(run, [training_set(config)])


def training_set(config: Mapping[str, Any]) -> DatasetInput:
    """Return the data set of a trial. Equal data sets have equal digests.

    Args:
        config: Document of the record; see `factorlab.storage.record.Record.create`.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - seconds

    settings = config["config"]
    data = {f"data.{name}": value for name, value in settings["data"].items() if name in _NAMED}
    source = {"data": settings["data"], "seed": settings["seed"]}
    sizes = ("samples_2d", "samples_total", "lattice_labels")
    profile = {"sha256": config["dataset"], **{key: config[key] for key in sizes if key in config}}
    dataset = Dataset(
        name=trial_name(data),
        digest=config["dataset"][:DIGEST_LENGTH],
        source_type="factorlab",
        source=json.dumps(source, sort_keys=True),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
