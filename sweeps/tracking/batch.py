"""Metrics, parameters and tags of one MLflow run, sent in as few requests as possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

ENTRIES_AT_ONCE = 1000
PARAMETERS_AT_ONCE = TAGS_AT_ONCE = 100
PARAMETER_LENGTH = 6000
"""Limits of MLflow: entries of a request, parameters and tags of one, characters of a parameter."""


@dataclass
class Batch:
    """What a run is about to be sent."""

    metrics: list[Metric] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    there: Mapping[str, str] = field(default_factory=dict)
    """Tags that the run surely has, because it was just created with them."""

    def send(self, client: MlflowClient, run: str) -> None:
        """Send everything to a run. Nothing is sent if there is nothing to send.

        Args:
            client: Client of the store.
            run: Id of the run.
        """
        for metrics, parameters, tags in self._requests():
            client.log_batch(run, metrics, parameters, tags)

    def _requests(self) -> Iterator[tuple[Sequence[Metric], Sequence[Param], Sequence[RunTag]]]:
        from mlflow.entities import Param, RunTag  # noqa: PLC0415 - seconds

        metrics = iter(self.metrics)
        parameters = (Param(name, v[:PARAMETER_LENGTH]) for name, v in self.parameters.items())
        tags = (RunTag(k, v) for k, v in self.tags.items() if self.there.get(k) != v)
        while True:
            some_parameters = list(islice(parameters, PARAMETERS_AT_ONCE))
            some_tags = list(islice(tags, TAGS_AT_ONCE))
            most = ENTRIES_AT_ONCE - len(some_parameters) - len(some_tags)
            some_metrics = list(islice(metrics, most))
            if not (some_metrics or some_parameters or some_tags):
                return
            yield some_metrics, some_parameters, some_tags
