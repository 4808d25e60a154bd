"""The store: made whole, away and back, deleted."""

import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from factorlab.storage.record import Record
from sweeps.tracking.sync_thread import MlflowSync
from tests.helpers.mlflow_runs import (
    assert_same_points,
    children,
    copy_store,
    finish,
    key_of,
    mirror,
    state_file,
    write_record,
)
from tests.helpers.open_files import open_below
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_start_with_dead_server_leaks_no_password(runs, monkeypatch):
    record = write_record(runs, 0, done=True)
    uri = f"http://alice:s3cr%40t@127.0.0.1:{closed_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    following = mirror(runs, [0])
    start = time.monotonic()
    following.start()
    assert time.monotonic() - start < 0.5
    wait_for(lambda: following.problem is not None)
    following.log_figures([runs])
    following.stop()
    assert time.monotonic() - start < 60
    assert "factorlab sync" in following.problem
    assert "127.0.0.1" in following.problem
    with pytest.raises(Exception, match="Max retries"):
        following.sync()
    assert "s3cr" not in following.problem
    assert not state_file(record).exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert mirror(runs, [0]).sync() == assert_same_points(runs, [0])
    texts = [p.read_bytes() for p in runs.rglob("*") if p.is_file()]
    assert not any(b"s3cr" in text for text in texts)


def test_start_catches_up_when_store_returns(runs, monkeypatch, tmp_path, empty_store):
    write_record(runs, 0)
    blocked = tmp_path / "away"
    blocked.write_text("a file where the store's folder should be")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{blocked}/mlflow.db?password=hunter22")
    away = mirror(runs, [0])
    assert away.problem is None
    with pytest.raises(OSError, match="away"):
        away.sync()
    assert "hunter22" not in away.problem
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{blocked}/mlflow.db")
    following = mirror(runs, [0])
    following.start()
    wait_for(lambda: following.problem is not None)
    blocked.unlink()
    blocked.mkdir()
    copy_store(empty_store, blocked / "mlflow.db")
    wait_for(lambda: following.problem is None)
    finish(Record(runs, key_of(0)))
    following.stop()
    assert following.problem is None
    assert children(runs)[key_of(0)].info.status == "FINISHED"
    assert len(children(runs)) == 1
    with closing(sqlite3.connect(blocked / "mlflow.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM metrics").fetchone() == (10,)


def test_stop_reports_deleted_store(runs):
    write_record(runs, 0)
    following = mirror(runs, [0])
    following.start()
    wait_for((runs / "mlflow.db-wal").exists)
    wait_for(lambda: state_file(Record(runs, key_of(0))).exists())
    for path in runs.glob("mlflow.db*"):
        path.unlink()
    following.stop()
    assert "deleted or replaced while it was open; 'factorlab sync' sends" in following.problem


def test_open_folder_survives_kill_during_creation(tmp_path):
    runs = tmp_path / "runs"
    write_record(runs, 1, done=True)
    code = (
        "import sys; from pathlib import Path; from sweeps.tracking.sync_thread import MlflowSync\n"
        "MlflowSync(runs=Path(sys.argv[1]), sweep='s', experiment='e', profile='p', trials=[])"
        ".sync()"
    )
    command = [sys.executable, "-c", code, str(runs)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as maker:
        try:
            # MLflow makes some forty tables, one after the other.
            wait_for(lambda: sum(p.stat().st_size for p in runs.glob("*mlflow.db*")) > 100_000)
        finally:
            maker.kill()
    assert not (runs / "mlflow.db").exists()  # half of one might never open again
    mirror(runs, [1]).sync()
    assert_same_points(runs, [1])
    assert not list(runs.glob(".mlflow.db.tmp*"))


def test_open_folder_sets_wal_mode(tmp_path):
    empty = MlflowSync(runs=tmp_path, sweep="s", experiment="e", profile="p", trials=[])
    empty.sync()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("how", ["sync", "follow", "figures"])
def test_close_leaves_no_file_open(tmp_path, how):
    runs, following = tmp_path / "runs", mirror(tmp_path / "runs", [1])
    write_record(runs, 1, done=True)
    if how == "follow":
        following.start()
        wait_for((runs / "mlflow.db").exists)
        following.stop()
    elif how == "figures":
        following.log_figures([])
    else:
        following.sync()
    assert following.problem is None
    assert open_below(runs) == []
    assert following.sync() == (10 if how == "figures" else 0)  # it opens them again
    assert open_below(runs) == []
