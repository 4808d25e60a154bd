"""Records without training, and queries of the MLflow store they are sent to."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient

from factorlab.config import RunSettings
from factorlab.storage.files import read_json, write_json
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record
from sweeps.tracking.mlflow_sync import MlflowSync, TrackedTrial, tracking_uri

EXPERIMENT, SWEEP = "squares", "squares-smoke-1a2b"
PARAMETERS = {"data.size": "8", "data.family": "bump+stripes", "seed": "0"}


def copy_store(store, path):
    """Copy a SQLite database, including pages that are only in its write-ahead log."""
    with (
        closing(sqlite3.connect(store)) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)


def key_of(number):
    return f"{number:064x}"


def config_of(number):
    """Return the configuration of a record, as a trial writes it."""
    settings = RunSettings(seed=number)
    return {
        "key": key_of(number),
        "config": settings.model_dump(mode="json"),
        "dataset": hashlib.sha256(key_of(number).encode()).hexdigest(),
        "samples_2d": 12,
        "samples_total": 12,
        "lattice_labels": 100,
    }


def write_record(runs, number, steps=range(0, 50, 10), *, done=False):
    """Write a record as a trial does, without training."""
    record = Record(runs, key_of(number))
    record.samples.mkdir(parents=True, exist_ok=True)
    if record.config() is None:
        write_json(record.path / "config.json", config_of(number))
    journal = Journal(record.journal)
    for step in steps:
        journal.append(step, {"loss": 1 / (step + 3), "accuracy": step / 100})
    if done:
        finish(record)
    return record


def finish(record, finished=1_700_000_000.25):
    record.write_result({"metrics": {}, "device": "cpu test", "finished": finished})


def tracked_trials(numbers):
    return [TrackedTrial(key_of(n), f"bump seed={n}", PARAMETERS) for n in numbers]


def sync_of(runs, numbers, **changes):
    """Return the MLflow sync of a sweep with these trials."""
    settings = {"sweep": SWEEP, "experiment": EXPERIMENT, "profile": "smoke", "interval": 0.05}
    return MlflowSync(**({"runs": runs, "trials": tracked_trials(numbers)} | settings | changes))


def client_of(runs):
    return MlflowClient(tracking_uri=tracking_uri(runs))


def all_runs(runs, experiment=EXPERIMENT):
    client = client_of(runs)
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id]) if found else []


def child_runs(runs, sweep=SWEEP, experiment=EXPERIMENT):
    """Return the child runs of a sweep by key."""
    tagged = [run.data.tags for run in all_runs(runs, experiment)]
    assert all(tags["factorlab.role"] in ("sweep", "trial") for tags in tagged)
    found = [
        run
        for run in all_runs(runs, experiment)
        if run.data.tags["factorlab.role"] == "trial" and run.data.tags["factorlab.sweep"] == sweep
    ]
    by_key = {run.data.tags["factorlab.key"]: run for run in found}
    assert len(by_key) == len(found)
    return by_key


def parent_runs(runs):
    return [run for run in all_runs(runs) if run.data.tags["factorlab.role"] == "sweep"]


def assert_same_points(runs, numbers, sweep=SWEEP):
    """Check that MLflow has the points of the journals, each once, and no others; count them."""
    client, by_key = client_of(runs), child_runs(runs, sweep)
    found = {key_of(number): by_key[key_of(number)] for number in numbers}
    total = sum(points_in_mlflow(Record(runs, key), run, client) for key, run in found.items())
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        ids = [run.info.run_id for run in found.values()]
        marks = ",".join("?" * len(ids))
        query = f"SELECT COUNT(*) FROM metrics WHERE run_uuid IN ({marks})"
        assert database.execute(query, ids).fetchone() == (total,)
    return total


def points_in_mlflow(record, run, client):
    """Check that a run has the points of its journal, each once, and no others; count them."""
    points, _ = record.points()
    expected = sorted(
        (name, p.step, int(p.time * 1000), v) for p in points for name, v in p.metrics.items()
    )
    names = {name for point in points for name in point.metrics}
    history = [m for name in names for m in client.get_metric_history(run.info.run_id, name)]
    assert sorted((m.key, m.step, m.timestamp, m.value) for m in history) == expected
    return len(expected)


def state_file(record, sweep=SWEEP):
    return record.path / "mlflow" / f"{sweep}.json"


def query(runs, text, *values):
    """Return rows of the runs folder's own database."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        return database.execute(text, values).fetchall()


def execute(runs, text, *values):
    """Change the runs folder's own database without MLflow."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as database, database:
        database.execute(text, values)


def downgrade_folder(runs):
    """Turn a folder into one of an earlier version, without an identity."""
    (runs / "mlflow.json").unlink()
    for table in ("tags", "experiment_tags"):
        execute(runs, f"DELETE FROM {table} WHERE key = 'factorlab.runs_folder'")
    execute(
        runs,
        "UPDATE experiments SET artifact_location = '/tmp/cwd/mlruns/0' WHERE name = 'Default'",
    )
    for path in runs.glob("trials/*/mlflow/*.json"):
        write_json(path, read_json(path) | {"store": f"sqlite:///{runs}/mlflow.db"})


def tree(folder):
    """Return the content and modification time of every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def read_artifact(runs, run, path, target):
    target.mkdir(exist_ok=True)
    return Path(client_of(runs).download_artifacts(run, path, str(target))).read_bytes()


def artifact_locations(runs):
    """Return all artifact locations that the database names."""
    rows = query(
        runs, "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM experiments"
    )
    return {location for (location,) in rows}


def assert_artifacts_inside(runs):
    """Check that all artifact locations lie in the runs folder."""
    root = f"{(runs.resolve() / 'artifacts').as_uri()}/"
    assert all(f"{location}/".startswith(root) for location in artifact_locations(runs))


def statuses(runs):
    """Return the status of each trial's run, by number."""
    return {int(key, 16): run.info.status for key, run in child_runs(runs).items()}


def write_killed_runs(runs, numbers):
    """Write records whose runs MLflow shows as running, as after a kill of all processes."""
    for number in numbers:
        record = write_record(runs, number)
        with record.lease():
            sync_of(runs, numbers).sync()
    execute(runs, "UPDATE runs SET status = 'RUNNING'")
    for number in numbers:
        state_file(Record(runs, key_of(number))).unlink()  # it may be older than the store
    assert set(statuses(runs).values()) == {"RUNNING"}


def start_and_stop(runs, numbers):
    """Follow a sweep that ends at once; return the notes."""
    sync = sync_of(runs, numbers)
    sync.start()
    sync.stop()
    assert sync.problem is None
    return sync.notes()
