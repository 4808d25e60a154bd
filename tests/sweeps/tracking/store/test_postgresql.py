"""A sweep with its MLflow runs in PostgreSQL and their artifacts on S3: the database crashes."""

import signal

import pytest
from mlflow import MlflowClient

from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.mlflow_runs import child_runs, points_in_mlflow
from tests.helpers.mlflow_stores import bucket_of, postgresql_server
from tests.helpers.processes import PATIENCE, running, wait_for


@pytest.fixture
def bucket(monkeypatch):
    with bucket_of("artifacts", monkeypatch.setenv) as made:
        yield made


def test_no_point_is_lost_or_doubled_when_the_database_crashes(tmp_path, monkeypatch, bucket):
    path = write_experiment(
        tmp_path / "small.yaml",
        axes={"seed": [0, 1, 2, 3]},
        resources={"pack": 1},
        figures=[],
        training={"steps": 500, "log_every": 5},
    )
    runs = tmp_path / "runs"
    records = records_of(path, runs)
    with postgresql_server() as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", "s3://artifacts/small")
        with running("sweep", "small.yaml", cwd=tmp_path) as driver:
            # The first run has ended, so MLflow has got something by now.
            wait_for(lambda: any((record.path / "mlflow").exists() for record in records))
            server.stop(signal.SIGQUIT)
            ended = sum(record.state() == "done" for record in records)
            wait_for(lambda: sum(record.state() == "done" for record in records) > ended)
            server.start()
            _, messages = driver.communicate(timeout=PATIENCE)
        assert driver.returncode == 0, messages
        assert "MLflow" not in messages  # it has caught up
        by_key = child_runs(runs, "small_default", "small")
        counts = [
            points_in_mlflow(record, by_key[record.key], MlflowClient(server.uri))
            for record in records
        ]
        assert all(count > 100 for count in counts)  # a loss every five steps
        roots = {run.info.artifact_uri.rpartition("/artifacts")[0] for run in by_key.values()}
        assert len(roots) == len(records)
    names = [entry.key for entry in bucket.objects.all()]
    for run in by_key.values():
        assert f"small/{run.info.run_id}/artifacts/result.json" in names
