"""Tables from an MLflow store agree with those of the records."""

import pandas as pd
import pytest

import factorlab.api as fl
from factorlab.errors import UserError
from sweeps.reporting import reports
from sweeps.tracking.plan_sync import mlflow_sync_of
from sweeps.tracking.store import access
from sweeps.tracking.store.uri import uri_of
from tests.api.synthetic_records import (
    SCALING,
    TORUS,
    changed,
    law,
    make_plan,
    write_finished,
    write_measures,
)
from tests.helpers.mlflow_runs import execute

FEW = changed(
    SCALING,
    axes={"data.family": ["bump"], "data.size": [8], "data.subsample": [0.02, 0.1, 1.0]},
)


@pytest.fixture
def plans(runs, no_server):
    """A synced sweep with three runs of which one is not finished, and one with layers."""
    scaling, torus = make_plan(FEW, runs, "laptop"), make_plan(TORUS, runs)
    write_finished(scaling, lambda run, n, _: law(run, n))
    (scaling.record(scaling.trials[2]).path / "result.json").unlink()
    write_finished(torus, lambda run, _, step: step / 800)
    write_measures(torus)
    for plan in (scaling, torus):
        mlflow_sync_of(plan).sync()
    return scaling, torus


def load(runs, *arguments, **options):
    with pytest.warns(UserWarning, match="store does not hold the columns record"):
        return fl.load(*arguments, tracking_uri=uri_of(runs), **options)


def sorted_by_key(frame, columns, *further):
    rows = frame.sort_values(["key", *further])[columns].reset_index(drop=True)
    return rows.astype({c: float for c in columns if rows[c].dtype.kind in "if"})


def test_store_has_the_runs_of_the_records(runs, plans):
    plan, _ = plans
    frame, table = load(runs, "scaling"), reports.table(plan)
    assert "record" in frame.attrs["missing"]
    shared = [c for c in table.columns if c in frame.columns and c != "state"]
    lacking = set(table.columns) - set(shared) - {"state"}
    assert lacking == {
        "seconds_train",
        "seconds_evaluate",
        "parameters",
        "device",
        "weights_sha256",
    }
    pd.testing.assert_frame_equal(
        sorted_by_key(frame, shared), sorted_by_key(table, shared), check_dtype=False
    )
    assert sorted(frame["state"]) == ["done", "done", "stopped"]  # no process trains the third
    assert frame.columns[0] == "data.subsample"


def test_store_has_the_evaluations_of_the_records(runs, plans):
    _, plan = plans
    frame, table = load(runs, "torus_default", steps=True), reports.evaluations(plan)
    shared = [c for c in table.columns if c in frame.columns]
    assert set(table.columns) - set(shared) <= {"record"} | {
        c for c in table.columns if c.startswith(("device", "represent"))
    }
    assert {"step", "last", "layer4/factorization", "layer4/phase", "accuracy"} <= set(shared)
    pd.testing.assert_frame_equal(
        sorted_by_key(frame, shared, "step"),
        sorted_by_key(table, shared, "step"),
        check_dtype=False,
    )
    assert fl.plot.phases(frame, layer="layer4").axes


def test_runs_that_were_logged_twice_have_one_row(runs, plans, tmp_path):
    plan, _ = plans
    client = access.connect(uri_of(runs))
    experiment = client.get_experiment_by_name("scaling")
    (run,) = client.search_runs(
        [experiment.experiment_id], f"tags.`factorlab.key` = '{plan.trials[0].key}'"
    )
    copy = client.create_run(experiment.experiment_id, tags=run.data.tags, start_time=1)
    client.set_tag(copy.info.run_id, "factorlab.state", "running")
    frame = load(runs, "scaling")
    assert len(frame) == 3
    assert frame.set_index("key").loc[plan.trials[0].key, "state"] == "done"


def test_settings_of_another_version_are_read_from_its_configuration(runs, plans):
    plan, _ = plans
    before = load(runs, "scaling").set_index("key")["model.width"]
    key = plan.trials[0].key
    # As if `model.width` had been logged by nobody, because it was the default at that time.
    execute(
        runs,
        "DELETE FROM params WHERE key = 'model.width' AND run_uuid IN "
        "(SELECT run_uuid FROM tags WHERE key = 'factorlab.key' AND value = ?)",
        key,
    )
    after = load(runs, "scaling").set_index("key")["model.width"]
    assert after[key] == before[key] == plan.trials[0].run.model.width


def test_mistakes_are_named(runs, plans, tmp_path):
    with pytest.raises(UserError, match=r"no sweep of 'scale'; known sweeps: scaling_.*torus_"):
        fl.load("scale", tracking_uri=uri_of(runs))
    with pytest.raises(UserError, match="with profile 'a100'"):
        fl.load("scaling", profile="a100", tracking_uri=uri_of(runs))
    with pytest.raises(UserError, match="there is no file"):
        fl.load("scaling", tracking_uri=f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(UserError, match="tracking_uri = htp://host: unknown scheme"):
        fl.load("scaling", tracking_uri="htp://host")
    with pytest.raises(UserError, match=r"MLflow at http://127.0.0.1:9: "):
        fl.load("scaling", tracking_uri="http://127.0.0.1:9")
