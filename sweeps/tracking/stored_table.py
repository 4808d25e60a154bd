"""Tables of a sweep's runs from any MLflow store, without records.

The columns are those of `analysis.tables.loading`, as far as the store holds them or they follow
from the settings. `LACKING` names what only records have.
"""

from __future__ import annotations

import ast
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.config import RunSettings
from factorlab.data.dataset import Dataset, build
from factorlab.errors import UserError
from factorlab.formatting import listed
from factorlab.parsing import flatten, parse
from factorlab.storage.record import identify
from sweeps.planning.overrides import assign
from sweeps.tracking import stored_runs
from sweeps.tracking.mlflow_sync import sentence
from sweeps.tracking.store import access
from sweeps.tracking.store.uri import check_uri, redact, sqlite_file

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

LACKING = ("record", "seconds_<phase>", "parameters", "device", "weights_sha256")
"""Columns that a store does not hold."""

_WANTED = "tags.`factorlab.role` = 'trial' and tags.`factorlab.{}` = '{}'"
_SETTLED = {"done": 0, "failed": 1, "stopped": 2}


def stored_table(
    uri: str, name: str, profile: str | None = None, *, steps: bool = False
) -> pd.DataFrame:
    """Load the newest sweep of an experiment, or a sweep by its full name, from a store.

    Args:
        uri: URI of the store: a server, SQLite or another database.
        name: Name of the experiment, or full name of the sweep.
        profile: Profile of the experiment; by default any.
        steps: One row per evaluation, instead of one per run.

    Returns:
        The table; see the module docstring. A run that was logged from several runs folders has
        one row.

    Raises:
        UserError: MLflow cannot use the URI, the store does not answer, or there is no such sweep.
    """
    check_uri(uri, f"tracking_uri = {redact(uri)}")
    file = sqlite_file(uri)
    if file is not None and not file.is_file():  # MLflow would create it
        raise UserError(f"tracking_uri = {uri}: there is no file {file}")
    try:
        client = access.connect(uri)
        runs = _runs(client, uri, name, profile)
        rows = [row for run in runs for row in _rows(client, run, steps=steps)]
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"MLflow at {redact(uri, uri)}: {sentence(error, uri)}") from None
    finally:
        access.close()
    import pandas as pd  # noqa: PLC0415 - half a second

    return pd.DataFrame(rows)


def _runs(client: MlflowClient, uri: str, name: str, profile: str | None) -> list[Run]:
    """Return one run for each trial of the newest sweep.

    Raises:
        UserError: There is no such sweep.
    """
    from mlflow.entities import ViewType  # noqa: PLC0415 - seconds

    if "'" in name:
        raise UserError(f"'{name}': not the name of a sweep")
    experiments = stored_runs.experiment_ids(client)
    found = [
        run
        for tag in ("experiment", "sweep")
        for run in stored_runs.search(
            client, experiments, _WANTED.format(tag, name), ViewType.ACTIVE_ONLY
        )
        if profile in (None, run.data.tags.get("factorlab.profile"))
    ]
    if not found:
        known = stored_runs.search(
            client, experiments, "tags.`factorlab.role` = 'sweep'", ViewType.ACTIVE_ONLY
        )
        sweeps = listed(sorted({run.data.tags.get("factorlab.sweep", "") for run in known}))
        with_profile = f" with profile '{profile}'" if profile else ""
        raise UserError(
            f"MLflow at {redact(uri, uri)}: no sweep of '{name}'{with_profile}; known sweeps: "
            f"{sweeps or 'none'}"
        )
    newest = max(found, key=lambda run: run.info.start_time).data.tags["factorlab.sweep"]
    best: dict[str, Run] = {}
    for run in sorted(found, key=lambda run: (run.info.start_time, run.info.run_id)):
        tags = run.data.tags
        if tags["factorlab.sweep"] == newest:
            kept = best.setdefault(tags["factorlab.key"], run)
            if _order(run) < _order(kept):
                best[tags["factorlab.key"]] = run
    return list(best.values())


def _order(run: Run) -> int:
    return _SETTLED.get(run.data.tags.get("factorlab.state", ""), len(_SETTLED))


def _rows(client: MlflowClient, run: Run, *, steps: bool) -> list[dict[str, Any]]:
    """Return the row of a run, or one for each of its evaluations."""
    state = run.data.tags.get("factorlab.state", "running")
    settings, derived = _settings(client, run)
    row = {"key": run.data.tags["factorlab.key"], "state": state, **settings, **derived}
    metrics: Mapping[str, float] = run.data.metrics
    if not steps:
        row.pop("device", None)  # the setting; records name the hardware
        last = {"steps": settings.get("training.steps")} if state == "done" else {}
        return [row | (dict(metrics) | last if state == "done" else {})]
    found: dict[int, dict[str, Any]] = {}
    for name in metrics:
        for metric in client.get_metric_history(run.info.run_id, name):
            found.setdefault(metric.step, {})[name] = metric.value
    evaluated = {step: values for step, values in sorted(found.items()) if "accuracy" in values}
    ends = max(evaluated, default=None) if state == "done" else None
    rows = [
        row | {"step": step, "last": step == ends, **values, **_phases(values)}
        for step, values in evaluated.items()
    ]
    return rows or [row | {"last": False}]


def _value(text: str) -> Any:  # noqa: ANN401 - a value of any setting
    """Return a setting from its text in MLflow; a text that is no Python literal is itself."""
    with suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return text


def _settings(client: MlflowClient, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all settings of a run, and the columns that follow from them.

    A run has few parameters; the others have the defaults of the version that trained it. If the
    key shows that these were not the defaults of this version, `config.json` of the run has them.
    """
    logged = {name: _value(text) for name, text in run.data.params.items()}
    nested: dict[str, Any] = {}
    for name, value in logged.items():
        assign(nested, name, list(value) if isinstance(value, tuple) else value, "MLflow")
    with suppress(UserError):
        settings = parse(nested)
        data = build(settings.data, settings.seed)
        if identify(settings, data).key != run.data.tags["factorlab.key"]:
            settings = parse(_configuration(client, run))
            data = build(settings.data, settings.seed)
        return flatten(settings.model_dump(mode="json")), _derived(settings, data)
    return logged, {}  # this version does not know the settings


def _configuration(client: MlflowClient, run: Run) -> dict[str, Any]:
    """Return the settings in the artifact `config.json`.

    Raises:
        UserError: The run does not have it.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

    with tempfile.TemporaryDirectory(prefix="factorlab-") as folder:
        try:
            path = client.download_artifacts(run.info.run_id, "config.json", folder)
        except (MlflowException, OSError) as error:
            raise UserError(f"run {run.info.run_id}: no config.json: {error}") from None
        return dict(json.loads(Path(path).read_bytes())["config"])


def _derived(settings: RunSettings, data: Dataset) -> dict[str, Any]:
    """Return the columns that follow from the settings."""
    from analysis.measures.null_models import null_accuracies  # noqa: PLC0415 - scipy: a second

    counts = (data.samples_2d, data.samples_total, len(data.lattice))
    names = ("samples_2d", "samples_total", "lattice_labels")
    return dict(zip(names, counts, strict=True)) | null_accuracies(settings)


def _phases(values: Mapping[str, float]) -> dict[str, str]:
    """Return the phase of manifold formation for each measured layer of an evaluation."""
    from analysis.measures.phases import phase  # noqa: PLC0415

    layers: Sequence[str] = sorted({name.partition("/")[0] for name in values if "/" in name})
    found: dict[str, str] = {}
    for layer in layers:
        own = {n.partition("/")[2]: v for n, v in values.items() if n.startswith(f"{layer}/")}
        with suppress(ValueError):
            found[f"{layer}/phase"] = phase({**values, **own})
    return found
