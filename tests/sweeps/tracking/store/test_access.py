"""Access to the store: creation, a server that is down, a store that returns or is deleted."""

import socket
import sqlite3
import subprocess
import sys
import threading
import uuid
from contextlib import closing, suppress

import pytest
from urllib3.util import connection

from factorlab.storage.record import Record
from sweeps.tracking.mlflow_sync import MlflowSync
from tests.helpers.mlflow_runs import (
    assert_same_points,
    child_runs,
    copy_store,
    finish,
    key_of,
    state_file,
    sync_of,
    write_record,
)
from tests.helpers.open_files import open_below
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connections_of(monkeypatch):
    """Return a list that gets, for every connection tried, whether this thread tried it."""
    tried, create_connection = [], connection.create_connection
    caller = threading.current_thread()

    def recorded(*arguments, **options):
        tried.append(threading.current_thread() is caller)
        return create_connection(*arguments, **options)

    monkeypatch.setattr(connection, "create_connection", recorded)
    return tried


def test_start_with_dead_server_leaks_no_password(runs, monkeypatch):
    record = write_record(runs, 0, done=True)
    secret = uuid.uuid4().hex  # in no source file, whose uncommitted changes MLflow gets
    uri = f"http://alice:{secret}%40t@127.0.0.1:{closed_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    connected = connections_of(monkeypatch)
    sync = sync_of(runs, [0], interval=3600.0)
    sync.start()
    wait_for(lambda: sync.problem is not None)
    sync.log_figures([runs])
    sync.stop()
    # One pass of the thread that follows, the figures, the last pass: one retry each.
    assert connected == [False, False, True, True, False, False]
    assert "factorlab sync" in sync.problem
    assert "127.0.0.1" in sync.problem
    with pytest.raises(Exception, match="Max retries"):
        sync.sync()
    assert secret not in sync.problem
    assert not state_file(record).exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync_of(runs, [0]).sync() == assert_same_points(runs, [0])
    texts = [p.read_bytes() for p in runs.rglob("*") if p.is_file()]
    assert not any(secret.encode() in text for text in texts)


def test_start_catches_up_when_store_returns(runs, monkeypatch, tmp_path, empty_store):
    write_record(runs, 0)
    blocked = tmp_path / "away"
    blocked.write_text("a file where the store's folder should be")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{blocked}/mlflow.db?password=hunter22")
    away = sync_of(runs, [0])
    assert away.problem is None
    with pytest.raises(OSError, match="away"):
        away.sync()
    assert "hunter22" not in away.problem
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{blocked}/mlflow.db")
    sync = sync_of(runs, [0])
    sync.start()
    wait_for(lambda: sync.problem is not None)
    blocked.unlink()
    blocked.mkdir()
    copy_store(empty_store, blocked / "mlflow.db")
    wait_for(lambda: sync.problem is None)
    finish(Record(runs, key_of(0)))
    sync.stop()
    assert sync.problem is None
    assert child_runs(runs)[key_of(0)].info.status == "FINISHED"
    assert len(child_runs(runs)) == 1
    with closing(sqlite3.connect(blocked / "mlflow.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM metrics").fetchone() == (10,)


def test_stop_reports_deleted_store(runs):
    write_record(runs, 0)
    sync = sync_of(runs, [0])
    sync.start()
    wait_for((runs / "mlflow.db-wal").exists)
    wait_for(lambda: state_file(Record(runs, key_of(0))).exists())
    for path in runs.glob("mlflow.db*"):
        path.unlink()
    sync.stop()
    assert "deleted or replaced while it was open; 'factorlab sync' sends" in sync.problem


def size_of(paths):
    """Return the size of files in bytes; a journal of SQLite may be gone at any time."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_open_folder_survives_kill_during_creation(tmp_path):
    runs = tmp_path / "runs"
    write_record(runs, 1, done=True)
    code = (
        "import sys; from pathlib import Path; from sweeps.tracking.mlflow_sync import MlflowSync\n"
        "MlflowSync(runs=Path(sys.argv[1]), sweep='s', experiment='e', profile='p', trials=[])"
        ".sync()"
    )
    command = [sys.executable, "-c", code, str(runs)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as maker:
        try:
            # MLflow creates some forty tables, one after the other.
            wait_for(lambda: size_of(runs.glob("*mlflow.db*")) > 100_000)
        finally:
            maker.kill()
    assert not (runs / "mlflow.db").exists()  # a partial one could never be opened
    sync_of(runs, [1]).sync()
    assert_same_points(runs, [1])
    assert not list(runs.glob(".mlflow.db.tmp*"))


def test_open_folder_sets_wal_mode(tmp_path):
    empty = MlflowSync(runs=tmp_path, sweep="s", experiment="e", profile="p", trials=[])
    empty.sync()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("how", ["sync", "follow", "figures"])
def test_close_leaves_no_file_open(tmp_path, how):
    runs, sync = tmp_path / "runs", sync_of(tmp_path / "runs", [1])
    write_record(runs, 1, done=True)
    if how == "follow":
        sync.start()
        wait_for((runs / "mlflow.db").exists)
        sync.stop()
    elif how == "figures":
        sync.log_figures([])
    else:
        sync.sync()
    assert sync.problem is None
    assert open_below(runs) == []
    assert sync.sync() == (10 if how == "figures" else 0)  # opens the database again
    assert open_below(runs) == []
