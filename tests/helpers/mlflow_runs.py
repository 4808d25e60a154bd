"""Records without training, and what a store holds of them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient

from factorlab.storage.files import read_json, write_json
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record
from sweeps.tracking.sync_thread import MlflowSync, TrackedTrial, tracking_uri

EXPERIMENT, SWEEP = "squares", "squares-smoke-1a2b"
PARAMETERS = {"data.size": "8", "data.family": "bump+stripes", "seed": "0"}


def copy_store(store, path):
    """Copy a SQLite file together with what stands in its log only."""
    with (
        closing(sqlite3.connect(store)) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)


def key_of(number):
    return f"{number:064x}"


def write_record(runs, number, steps=range(0, 50, 10), *, done=False):
    """A record as a trial writes it, without the training."""
    record = Record(runs, key_of(number))
    record.samples.mkdir(parents=True, exist_ok=True)
    if record.config() is None:
        write_json(record.path / "config.json", {"key": record.key, "config": {}})
    journal = Journal(record.journal)
    for step in steps:
        journal.append(step, {"loss": 1 / (step + 3), "accuracy": step / 100})
    if done:
        finish(record)
    return record


def finish(record, finished=1_700_000_000.25):
    record.write_result({"metrics": {}, "device": "cpu test", "finished": finished})


def tracked(numbers):
    return [TrackedTrial(key_of(n), f"bump seed={n}", PARAMETERS) for n in numbers]


def mirror(runs, numbers, **changes):
    settings = {"sweep": SWEEP, "experiment": EXPERIMENT, "profile": "smoke", "interval": 0.05}
    return MlflowSync(runs=runs, trials=tracked(numbers), **(settings | changes))


def client_of(runs):
    return MlflowClient(tracking_uri=tracking_uri(runs))


def all_runs(runs, experiment=EXPERIMENT):
    client = client_of(runs)
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id]) if found else []


def children(runs, sweep=SWEEP):
    """The child runs of a sweep by key."""
    tagged = [run.data.tags for run in all_runs(runs)]
    assert all(tags["factorlab.role"] in ("sweep", "trial") for tags in tagged)
    found = [
        run
        for run in all_runs(runs)
        if run.data.tags["factorlab.role"] == "trial" and run.data.tags["factorlab.sweep"] == sweep
    ]
    by_key = {run.data.tags["factorlab.key"]: run for run in found}
    assert len(by_key) == len(found)
    return by_key


def parents(runs):
    return [run for run in all_runs(runs) if run.data.tags["factorlab.role"] == "sweep"]


def assert_same_points(runs, numbers, sweep=SWEEP):
    """Every point of the journals is in MLflow exactly once, and nothing else is."""
    client, by_key, total = client_of(runs), children(runs, sweep), 0
    for number in numbers:
        points, _ = Record(runs, key_of(number)).points()
        expected = sorted(
            (name, p.step, int(p.time * 1000), v) for p in points for name, v in p.metrics.items()
        )
        run = by_key[key_of(number)].info.run_id
        names = {name for point in points for name in point.metrics}
        history = [m for name in names for m in client.get_metric_history(run, name)]
        assert sorted((m.key, m.step, m.timestamp, m.value) for m in history) == expected
        total += len(expected)
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        ids = [by_key[key_of(number)].info.run_id for number in numbers]
        marks = ",".join("?" * len(ids))
        query = f"SELECT COUNT(*) FROM metrics WHERE run_uuid IN ({marks})"
        assert database.execute(query, ids).fetchone() == (total,)
    return total


def state_file(record, sweep=SWEEP):
    return record.path / "mlflow" / f"{sweep}.json"


def query(runs, text, *values):
    """Rows of the runs folder's own database."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        return database.execute(text, values).fetchall()


def change(runs, text, *values):
    """Change the runs folder's own database behind MLflow's back."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as database, database:
        database.execute(text, values)


def as_earlier_versions_wrote(runs):
    """Turn a folder into what it would be without the identity of runs folders."""
    (runs / "mlflow.json").unlink()
    for table in ("tags", "experiment_tags"):
        change(runs, f"DELETE FROM {table} WHERE key = 'factorlab.runs_folder'")
    change(
        runs,
        "UPDATE experiments SET artifact_location = '/tmp/cwd/mlruns/0' WHERE name = 'Default'",
    )
    for path in runs.glob("trials/*/mlflow/*.json"):
        write_json(path, read_json(path) | {"store": f"sqlite:///{runs}/mlflow.db"})


def tree(folder):
    """Every file below a folder with its content and time of change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def read_artifact(runs, run, path, target):
    target.mkdir(exist_ok=True)
    return Path(client_of(runs).download_artifacts(run, path, str(target))).read_bytes()


def named_places(runs):
    """All places of artifacts that the database names."""
    rows = query(
        runs, "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM experiments"
    )
    return {place for (place,) in rows}


def assert_at_home(runs):
    root = f"{(runs.resolve() / 'artifacts').as_uri()}/"
    assert all(f"{place}/".startswith(root) for place in named_places(runs))


def statuses(runs):
    """The status of each trial's run, by number."""
    return {int(key, 16): run.info.status for key, run in children(runs).items()}


def killed(runs, numbers):
    """Leave runs as they are after everything was killed: shown as running."""
    for number in numbers:
        record = write_record(runs, number)
        with record.lease():
            mirror(runs, numbers).sync()
    change(runs, "UPDATE runs SET status = 'RUNNING'")
    for number in numbers:
        state_file(Record(runs, key_of(number))).unlink()  # or it is behind
    assert set(statuses(runs).values()) == {"RUNNING"}


def follow(runs, numbers):
    """Follow a sweep that ends at once; returns what is told."""
    following = mirror(runs, numbers)
    following.start()
    following.stop()
    assert following.problem is None
    return following.notes()
