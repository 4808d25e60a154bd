"""Where the MLflow UI starts: the experiments that hold sweeps, and the newest sweep of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeps.tracking.presentation import ui_state
from sweeps.tracking.presentation.about import AXES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

_MOST = 100


def newest_sweeps(client: MlflowClient) -> list[tuple[Experiment, Run | None]]:
    """Return each experiment that holds sweeps with its newest sweep, at most 100 experiments."""
    found = client.search_experiments(filter_string=f"tags.`{AXES}` LIKE '%'", max_results=_MOST)
    return [(experiment, _newest(client, experiment)) for experiment in found]


def start(sweeps: list[tuple[Experiment, Run | None]], *, view: bool = False) -> str | None:
    """Return the fragment of a URL that shows the newest sweep of all, None if there is none.

    Args:
        sweeps: See `newest_sweeps`.
        view: See `ui_state.location`.
    """
    started = {run.info.start_time: one.experiment_id for one, run in sweeps if run is not None}
    return ui_state.location(started[max(started)], view=view) if started else None


def _newest(client: MlflowClient, experiment: Experiment) -> Run | None:
    found = client.search_runs(
        [experiment.experiment_id],
        "tags.`factorlab.role` = 'sweep'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return next(iter(found), None)
