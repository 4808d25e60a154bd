"""The final network of a trial as an MLflow model, which loads without pickle.

``mlflow.pyfunc.load_model("models:/<id>").predict(labels)`` draws images; see
`factorlab.pyfunc`. The model holds the configuration and the weights as safetensors.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.storage.files import write_atomically
from factorlab.storage.record import Record
from sweeps.tracking.store.locations import local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

LOADER = "factorlab.pyfunc"
_FORBIDDEN = re.compile(r"[/:.%\"']")  # in the name of a model
FILES = ("config.json", "weights.safetensors")


def log_model(client: MlflowClient, run: Run, record: Record, *, may_be_there: bool) -> str | None:
    """Log the final network of a finished trial, and return the id of the model.

    Weights are linked instead of copied where the store keeps its artifacts on the same disk.

    Args:
        client: Client of the store.
        run: Run of the trial.
        record: Record of the trial.
        may_be_there: Whether the run may already have its model, for example after a crash. If so,
            the store is asked, and the model is completed.

    Returns:
        The id, or None if the record has no weights, as in an archive, or if the store is a server
        of MLflow 2, which has no models of runs.
    """
    if record.weights.exists():
        with _ignored("ENDPOINT_NOT_FOUND"):
            known = _known(client, run) if may_be_there else None
            return _log(client, run, record, known)
    return None


@contextmanager
def _ignored(code: str) -> Iterator[None]:
    """Ignore an error of MLflow with this code."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

    try:
        yield
    except MlflowException as error:
        if error.error_code != code:
            raise


def _log(client: MlflowClient, run: Run, record: Record, known: LoggedModel | None) -> str:
    model = known or client.create_logged_model(
        run.info.experiment_id,
        name=_FORBIDDEN.sub("·", run.info.run_name),
        source_run_id=run.info.run_id,
        params={"key": record.key},
        model_type="diffusion",
    )
    if str(model.status) == "READY":
        return str(model.model_id)
    there = local_path(model.artifact_location)
    with ExitStack() as stack:
        temporary = partial(tempfile.TemporaryDirectory, prefix="factorlab-")
        folder = there or Path(stack.enter_context(temporary()))
        _fill(folder, model, run, record)
        if there is None:
            client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def id_of(client: MlflowClient, run: Run) -> str | None:
    """Return the id of the model that a run has in the store, None if it has none."""
    known = None
    with _ignored("ENDPOINT_NOT_FOUND"):
        known = _known(client, run)
    return None if known is None else str(known.model_id)


def restore_files(client: MlflowClient, run: Run, record: Record, model: str) -> None:
    """Write the files of a model again if they were deleted from the store's disk.

    A model that was deleted in the store stays deleted.

    Args:
        client: Client of the store.
        run: Run of the trial.
        record: Record of the trial.
        model: Id of the model.
    """
    artifacts = local_path(run.info.artifact_uri)
    if artifacts is None or not record.weights.exists():
        return
    if (artifacts.parents[1] / "models" / model / "artifacts" / "MLmodel").exists():
        return  # MLflow's own layout, which saves a query for every model
    with _ignored("RESOURCE_DOES_NOT_EXIST"):
        known = client.get_logged_model(model)
        folder = local_path(known.artifact_location)
        if folder is not None and not (folder / "MLmodel").exists():
            _fill(folder, known, run, record)


def _known(client: MlflowClient, run: Run) -> LoggedModel | None:
    """Return the model that a run already has."""
    found = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
    )
    return next(iter(found), None)


def _describe(model: LoggedModel, run: Run) -> Any:  # noqa: ANN401 - MLflow is imported on demand
    """Return the content of the file `MLmodel`."""
    from mlflow.models import Model, ModelSignature  # noqa: PLC0415 - seconds
    from mlflow.types import (  # noqa: PLC0415 - seconds
        ColSpec,
        DataType,
        ParamSchema,
        ParamSpec,
        Schema,
    )

    labels = Schema([ColSpec(DataType.double, name) for name in ("x", "y")])
    seed = ParamSchema([ParamSpec("seed", DataType.long, 0)])
    signature = ModelSignature(labels, params=seed)
    described = Model(run_id=run.info.run_id, model_id=model.model_id, signature=signature)
    return described.add_flavor("python_function", loader_module=LOADER, data="data", env={})


def _fill(folder: Path, model: LoggedModel, run: Run, record: Record) -> None:
    """Write the files of a model. `MLmodel` comes last, since `restore_files` looks for it."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for file in FILES:
        _link(record.path / file, folder / "data" / file)
    write_atomically(folder / "MLmodel", _describe(model, run).to_yaml().encode())


def _link(source: Path, target: Path) -> None:
    """Link a file that never changes, or copy it where the disk cannot link."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
