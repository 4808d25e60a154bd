"""What MLflow shows of sweeps: descriptions, data sets, models, and a view of the table."""

import base64
import errno
import hashlib
import json
import os
import re
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

import factorlab.api as fl
from factorlab.provenance import code_record
from factorlab.storage.record import Record
from factorlab.trial import Trial
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.tracking.plan_sync import mlflow_sync_of
from sweeps.tracking.presentation import models
from sweeps.tracking.presentation.about import NOTE, WRITTEN, SweepAbout
from sweeps.tracking.presentation.ui_state import VIEW_TAG
from sweeps.tracking.run_logging import NOTE_LENGTH, TAG_LENGTH
from tests.helpers.experiments import write_experiment
from tests.helpers.mlflow_runs import all_runs, client_of, sync_of, write_record

pytestmark = pytest.mark.usefixtures("no_server")


def sweep_in(folder):
    """Return the plan of a sweep of two finished runs, in MLflow."""
    path = write_experiment(
        folder / "shown.yaml", axes={"data.subsample": [0.5, 1.0], "seed": [0]}, figures=[]
    )
    made = plan.make(load(str(path)), folder / "runs")
    saved_plans.save(made)
    for trial in made.trials:
        list(Trial(trial.run, made.runs).run())
    mlflow_sync_of(made).sync()
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return sweep_in(tmp_path_factory.mktemp("shown"))


def runs_of(made, role):
    client = client_of(made.runs)
    experiment = client.get_experiment_by_name(made.experiment)
    return client.search_runs(
        [experiment.experiment_id], f"tags.`factorlab.role` = '{role}'", order_by=["start_time"]
    )


def test_sweep_is_described_with_its_command(made):
    (sweep,) = runs_of(made, "sweep")
    note = sweep.data.tags[NOTE]
    assert f"factorlab sweep {made.source}" in note
    assert "| `data.subsample` | 0.5, 1.0 |" in note
    assert sweep.data.tags["mlflow.source.name"] == f"factorlab sweep {made.source}"


def test_description_of_the_user_is_kept(made):
    (sweep,) = runs_of(made, "sweep")
    client, before = client_of(made.runs), sweep.data.tags[NOTE]
    client.set_tag(sweep.info.run_id, NOTE, "mine")
    sync = mlflow_sync_of(made)
    sync.sync()
    sync.log_figures([made.runs / "trials" / made.keys[0] / "config.json"], [("a claim", "shown")])
    assert sync.problem is None
    assert runs_of(made, "sweep")[0].data.tags[NOTE] == "mine"
    client.set_tag(sweep.info.run_id, NOTE, before)
    sync.log_figures([made.runs / "trials" / made.keys[0] / "config.json"], [("a claim", "shown")])
    assert "| a claim | shown |" in runs_of(made, "sweep")[0].data.tags[NOTE]


def test_runs_have_short_names_and_few_parameters(made):
    runs = {run.info.run_name: run for run in runs_of(made, "trial")}
    assert runs.keys() == {"λ.5 s0", "λ1.0 s0"}
    parameters = runs["λ.5 s0"].data.params
    assert parameters["data.subsample"] == "0.5"
    assert parameters["seed"] == "0"
    assert parameters["training.steps"] == "6"
    assert "diffusion.schedule" not in parameters  # it has its default


def test_runs_have_their_data_set(made):
    for run in runs_of(made, "trial"):
        (given,) = run.inputs.dataset_inputs
        config = Record(made.runs, run.data.tags["factorlab.key"]).config()
        assert given.dataset.digest == config["dataset"][:16]
        assert json.loads(given.dataset.profile)["samples_2d"] == config["samples_2d"]
        assert [tag.value for tag in given.tags] == ["training"]


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_model_draws_the_images_of_the_run(made):
    import mlflow  # noqa: PLC0415 - seconds

    client = client_of(made.runs)
    run = runs_of(made, "trial")[0]
    (model,) = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
    )
    assert str(model.status) == "READY"
    loaded = mlflow.pyfunc.load_model(model.artifact_location)
    labels = pd.DataFrame({"x": [2.0, 3.5], "y": [3.0, 3.5]})
    drawn = loaded.predict(labels, params={"seed": 3})
    expected = fl.samples(run.data.tags["factorlab.key"], labels.to_numpy(), seed=3, runs=made.runs)
    assert np.array_equal(drawn, expected)
    files = [path.name for path in (made.runs / "artifacts" / "models").rglob("*")]
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pth"))]


def test_models_and_data_sets_are_logged_once(made):
    for path in made.runs.glob("trials/*/mlflow/*.json"):
        path.unlink()  # as if the process had died before it saved what it had sent
    mlflow_sync_of(made).sync()
    client, (run, *_) = client_of(made.runs), runs_of(made, "trial")
    assert len(client.search_logged_models([run.info.experiment_id])) == 2
    assert len(run.inputs.dataset_inputs) == 1


def test_files_of_models_are_written_again(made):
    artifacts = made.runs / "artifacts"
    before = {path.relative_to(artifacts) for path in (artifacts / "models").rglob("*")}
    assert before
    client, runs = client_of(made.runs), runs_of(made, "trial")
    known = client.search_logged_models([runs[0].info.experiment_id])
    shutil.rmtree(artifacts)
    mlflow_sync_of(made).sync()
    assert {path.relative_to(artifacts) for path in (artifacts / "models").rglob("*")} == before
    assert len(client.search_logged_models([runs[0].info.experiment_id])) == len(known)
    assert [path.stat().st_nlink for path in artifacts.rglob("weights.safetensors")] == [2, 2]


def test_files_of_a_model_half_written_are_completed(made, monkeypatch):
    artifacts = made.runs / "artifacts"
    before = {path for path in artifacts.rglob("*") if path.is_file()}
    shutil.rmtree(artifacts / "models")
    link = models._link

    def full(source, target):
        if source.suffix == ".safetensors":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        link(source, target)

    monkeypatch.setattr(models, "_link", full)
    sync = mlflow_sync_of(made)
    with pytest.raises(OSError, match="No space left"):
        sync.sync()
    monkeypatch.undo()
    mlflow_sync_of(made).sync()
    assert {path for path in artifacts.rglob("*") if path.is_file()} == before


def test_deleted_model_stays_deleted(tmp_path):
    made = sweep_in(tmp_path)
    client, (run, *_) = client_of(made.runs), runs_of(made, "trial")
    experiment = [run.info.experiment_id]
    (model,) = client.search_logged_models(
        experiment, filter_string=f"source_run_id = '{run.info.run_id}'"
    )
    client.delete_logged_model(model.model_id)
    shutil.rmtree(made.runs / "artifacts" / "models" / model.model_id)
    mlflow_sync_of(made).sync()
    assert not (made.runs / "artifacts" / "models" / model.model_id).exists()


def test_experiment_has_a_view_with_the_axes_as_columns(made):
    tags = client_of(made.runs).get_experiment_by_name(made.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    packed = json.loads(tags[VIEW_TAG])["state"].removeprefix("deflate;")
    state = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert state["selectedColumns"][:2] == ["params.`data.subsample`", "params.`seed`"]


def test_description_escapes_tables():
    about = SweepAbout("factorlab sweep a", ["Why."], {"data.family": "a|b"})
    text = about.description(2, ["run/figures/a b.png"], [("x | y", "not shown")])
    assert r"| `data.family` | a\|b |" in text
    assert r"| x \| y | not shown |" in text
    assert "![a b](get-artifact?path=figures/a%20b.png&run_uuid=run)" in text


LONG = {
    "command": SweepAbout(f"factorlab sweep a --set 'seed={'1' * 9000}'", ["Why."], {"seed": "0"}),
    "axes": SweepAbout("factorlab sweep a", ["Why."], {f"axis.{i}": "v" * 500 for i in range(30)}),
    "purpose": SweepAbout("factorlab sweep a", ["w" * 9000], {"seed": "0"}),
}
"""Sweeps with more to say than a tag may hold."""


@pytest.mark.parametrize("about", LONG.values(), ids=LONG)
def test_long_description_is_completed_at_the_end(tmp_path, about):
    write_record(tmp_path, 0, done=True)
    sync = sync_of(tmp_path, [0], about=about)
    sync.sync()
    figure = tmp_path / "a.png"
    figure.write_bytes(cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes())
    sync.log_figures([figure], [("a claim", "shown")])
    assert sync.problem is None
    runs = all_runs(tmp_path)
    (sweep,) = (run.data.tags for run in runs if run.data.tags["factorlab.role"] == "sweep")
    assert "| a claim | shown |" in sweep[NOTE]
    assert "![a-small](get-artifact" in sweep[NOTE]
    assert sweep[WRITTEN] == hashlib.sha256(sweep[NOTE].encode()).hexdigest()
    lengths = {tag: len(value) for run in runs for tag, value in run.data.tags.items()}
    assert lengths.pop(NOTE) <= MAX_TAG_VAL_LENGTH
    assert max(lengths.values()) <= TAG_LENGTH


def test_long_command_in_a_description_keeps_its_block():
    text = LONG["command"].description(1, verdicts=[("a claim", "shown")])
    assert len(text) == NOTE_LENGTH
    assert re.search(r"```\nfactorlab sweep a .* \.\.\. 1+'\n```\n\n1 trials", text)


def test_reference_lists_every_tag(made):
    page = (Path(__file__).parents[3] / "docs" / "reference" / "tags.md").read_text()
    listed = set(re.findall(r"`(factorlab\.\w+)`", page))
    client = client_of(made.runs)
    runs = [*runs_of(made, "sweep"), *runs_of(made, "trial")]
    owners = [client.get_experiment_by_name(made.experiment).tags, *(r.data.tags for r in runs)]
    own = {tag for tags in owners for tag in tags if tag.startswith("factorlab.")}
    assert own <= listed
    # Not every run has a failure or a changed checkout.
    assert listed - own <= {"factorlab.failure", *code_record.TAGS}
