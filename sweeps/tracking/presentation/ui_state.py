"""What MLflow's table of runs shows of an experiment: columns, charts, expanded sweeps.

The UI keeps this state in the browser, and in saved views, which are tags of the experiment. Both
have one format, which belongs to MLflow 3.17; a field that another version does not know is
ignored by it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag by which the UI treats an experiment as one of training runs."""

VIEW = "factorlab"
"""Key of the saved view, for ``viewStateShareKey`` in a URL."""

VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
_METRICS = ("accuracy", "validation_loss")
_CHOICE, _NAME = "0", "attributes.`Run Name`"  # the UI's names of its first columns
_BEHIND = ("duration", "attributes.`Dataset`", "attributes.`Source`", "runDateAndNestInfo")
_WIDTHS = {_NAME: 300, "attributes.`Dataset`": 260}  # pixels
_MOST_RUNS = 100  # that a chart compares


def location(experiment: str, *, view: bool = False) -> str:
    """Return the fragment of a URL at which the UI shows the training runs of an experiment.

    Args:
        experiment: Id of the experiment.
        view: Whether to apply the saved view, for servers other than that of `factorlab ui`.
    """
    shown = f"&viewStateShareKey={VIEW}" if view else ""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning{shown}"


def state(axes: Sequence[str], sweeps: Sequence[str] = ()) -> dict[str, Any]:
    """Return the state of the table and of the charts.

    Args:
        axes: Dotted keys of the swept settings, which are the first columns.
        sweeps: Ids of the parent runs to show with their trials.
    """
    columns = [f"params.`{key}`" for key in axes] + [f"metrics.`{name}`" for name in _METRICS]
    return {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*columns, "attributes.`Dataset`", "attributes.`Source`"],
        "columnOrder": [_CHOICE, _NAME, *columns, *_BEHIND],
        "columnWidths": _WIDTHS,
        "runsExpanded": dict.fromkeys(sweeps, True),
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": _charts(axes),
        "compareRunSections": [_section()],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
        },
    }


def saved_view(axes: Sequence[str], time: int) -> str:
    """Return the value of a tag that saves the state as a view of the experiment.

    Args:
        axes: Dotted keys of the swept settings.
        time: When the view was made, in milliseconds since the epoch.
    """
    packed = base64.b64encode(zlib.compress(json.dumps(state(axes)).encode()))
    document = {"name": "Sweeps", "createdAt": time, "updatedAt": time}
    return json.dumps({**document, "state": f"deflate;{packed.decode()}"})


def _section() -> dict[str, Any]:
    return {
        "uuid": "factorlab",
        "name": "Sweep",
        "display": True,
        "isReordered": False,
        "deleted": False,
        "isGenerated": False,
    }


def _charts(axes: Sequence[str]) -> list[dict[str, Any]]:
    """Return charts of accuracy and loss over steps, and of accuracy against the axes."""
    lines = [
        _chart(
            f"over-steps-{metric}",
            "LINE",
            f"{metric} over steps",
            metricKey=metric,
            selectedMetricKeys=[metric],
            xAxisKey="step",
            xAxisScaleType="linear",
            scaleType="linear",
            lineSmoothness=0,
            selectedXAxisMetricKey="",
            useGlobalXaxisKey=False,
            range={},
        )
        for metric in ("accuracy", "loss")
    ]
    numeric = [key for key in axes if key not in ("data.family", "seed")]
    against = [
        _chart(
            f"against-{key}",
            "SCATTER",
            f"accuracy against {key}",
            xaxis={"type": "PARAM", "key": key},
            yaxis={"type": "METRIC", "key": "accuracy"},
        )
        for key in numeric[:3]
    ]
    together = _chart(
        "parallel",
        "PARALLEL",
        "all axes",
        selectedParams=list(axes),
        selectedMetrics=["accuracy"],
        showAllRuns=True,
    )
    return [*lines, *against, *([together] if len(axes) > 1 else [])]


def _chart(uuid: str, kind: str, title: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "uuid": f"factorlab-{uuid}",
        "type": kind,
        "displayName": title,
        "runsCountToCompare": _MOST_RUNS,
        "metricSectionId": "factorlab",
        "deleted": False,
        "isGenerated": False,
        **options,
    }
