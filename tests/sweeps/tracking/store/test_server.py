"""The MLflow UI by HTTP, from real servers: over moved, read-only and oddly named runs folders."""

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.helpers.mlflow_runs import children, copy_store, key_of, mirror, tree, write_record
from tests.helpers.processes import FACTORLAB, factorlab, wait_for

pytestmark = pytest.mark.usefixtures("no_server")

SHADOWING = """
mlflow sqlalchemy flask numpy uvicorn fastapi alembic pandas requests click yaml google typing
starlette pydantic json logging asyncio sweeps factorlab analysis percolation
"""

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


def may_mount():
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", tempfile.gettempdir(), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def finished(runs):
    """A runs folder with one finished run."""
    write_record(runs, 0, done=True)
    mirror(runs, [0]).sync()
    return runs


@contextmanager
def served(cwd, *before, runs="runs", end=signal.SIGTERM, **environment):
    """Serve the UI until the block ends; yields the port and a file with the messages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    messages = cwd / f"messages-{port}"
    with messages.open("w") as file:
        process = subprocess.Popen(
            [*before, FACTORLAB, "ui", "--port", str(port), "--runs", str(runs)],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
        )
    started = [process]
    try:
        wait_for(lambda: process.poll() is not None or answer(port, "/health") == b"OK")
        assert process.poll() is None, messages.read_text()
        started += psutil.Process(process.pid).children(recursive=True)
        yield port, messages
    finally:
        process.send_signal(end)
        process.wait(60)
        if end == signal.SIGKILL:  # its own child outlives it
            for child in started[1:]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        wait_for(lambda: not any(alive(child) for child in started[1:]))


def alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answer(port, path):
    """The body of an answer of the server, None while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.read()
    except OSError:
        return None


def artifact(port, run, name="config.json"):
    return answer(port, f"/get-artifact?path={name}&run_id={run}")


def config(runs):
    return (runs / "trials" / key_of(0) / "config.json").read_bytes()


def test_a_folder_that_was_moved_shows_its_artifacts(finished, tmp_path):
    run = children(finished)[key_of(0)].info.run_id
    moved = finished.rename(tmp_path / "100% of?it")
    with served(tmp_path, runs=moved) as (port, messages):
        assert artifact(port, run) == config(moved)
    assert f"the folder was moved or copied from {finished}" in messages.read_text()
    assert not finished.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["100% of?it", messages.name]


def test_it_listens_on_the_loopback_address_alone(tmp_path):
    (tmp_path / "runs").mkdir()
    with served(tmp_path) as (port, _):
        assert b"MLflow" in answer(port, "/")
        listening = Path("/proc/net/tcp").read_text()
        addresses = [line.split()[1] for line in listening.splitlines()[1:]]
        ours = {a.split(":")[0] for a in addresses if a.endswith(f":{port:04X}")}
        assert "0100007F" in ours
        assert "00000000" not in ours


def test_nothing_is_imported_from_the_working_folder(finished, tmp_path):
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in SHADOWING.split():
        text = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\nraise SystemExit(3)\n"
        (hostile / f"{name}.py").write_text(text)
    run = children(finished)[key_of(0)].info.run_id
    with served(hostile, runs=finished) as (port, _):
        assert artifact(port, run) == config(finished)
    assert not (tmp_path / "imported").exists()


@pytest.mark.skipif(not may_mount(), reason="mounting is not permitted")
@pytest.mark.parametrize("log", ["without a log", "with a log", "with a log and its index"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_folder_that_cannot_be_written_is_served_from_a_copy(finished, tmp_path, log, end):
    run = children(finished)[key_of(0)].info.run_id
    moved = tmp_path / "moved"
    with closing(sqlite3.connect(finished / "mlflow.db")) as writer, writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("UPDATE params SET value = 'only in the log' WHERE key = 'seed'")
        writer.commit()
        shutil.copytree(finished, moved)
    if log == "without a log":
        (moved / "mlflow.db").unlink()
        copy_store(finished / "mlflow.db", moved / "mlflow.db")
    if log != "with a log and its index":
        (moved / "mlflow.db-shm").unlink(missing_ok=True)
    before = tree(moved)
    temporary = tmp_path / "t"
    temporary.mkdir()
    mounted = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(moved)]
    with served(tmp_path, *mounted, runs=moved, end=end, TMPDIR=str(temporary)) as (port, messages):
        assert artifact(port, run) == config(moved)
        shown = answer(port, f"/api/2.0/mlflow/runs/get?run_id={run}")
        assert b"only in the log" in shown
        assert len(list(temporary.glob("factorlab-ui-*"))) == 1
    assert f"{moved} is not writable: showing a copy" in messages.read_text()
    wait_for(lambda: not list(temporary.glob("factorlab-ui-*")))
    assert tree(moved) == before


@pytest.mark.skipif(not may_mount(), reason="mounting is not permitted")
def test_no_folder_is_left_behind_where_the_home_folder_is_read_only(tmp_path):
    temporary, home = tmp_path / "t", tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    (tmp_path / "runs").mkdir()
    mounted = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(home)]
    environment = {"HOME": str(home), "XDG_CACHE_HOME": "", "TMPDIR": str(temporary)}
    with served(tmp_path, *mounted, **environment) as (port, _):
        assert b"MLflow" in answer(port, "/")
        assert list(temporary.glob("factorlab-*"))
    wait_for(lambda: not list(temporary.glob("factorlab-*")))


@pytest.mark.skipif(not may_mount(), reason="mounting is not permitted")
def test_a_folder_that_cannot_be_written_and_has_no_store_is_refused(tmp_path):
    (tmp_path / "runs").mkdir()
    mounted = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(tmp_path / "runs")]
    ended = subprocess.run(
        [*mounted, FACTORLAB, "ui"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "factorlab: runs: contains no MLflow store, and the folder is not writable\n"
    )


def test_the_ui_of_something_else_than_a_store_is_refused(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mlflow.db").write_bytes(b"not a database, whatever its name says\n" * 9)
    ended = factorlab("ui", cwd=tmp_path)
    assert ended.returncode == 2
    assert "mlflow.db: cannot be opened: file is not a database" in ended.stderr
