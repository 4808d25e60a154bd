"""`factorlab ui` by HTTP, on moved, read-only and oddly named runs folders."""

import asyncio
import contextlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from sweeps.tracking.store import server, ui_app
from tests.browser.ui_server import answer, served
from tests.helpers.mlflow_runs import child_runs, copy_store, key_of, sync_of, tree, write_record
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
    sync_of(runs, [0]).sync()
    return runs


def artifact(port, run, name="config.json"):
    return answer(port, f"/get-artifact?path={name}&run_id={run}")


def config(runs):
    return (runs / "trials" / key_of(0) / "config.json").read_bytes()


def test_ui_shows_artifacts_of_moved_folder(finished, tmp_path):
    run = child_runs(finished)[key_of(0)].info.run_id
    moved = finished.rename(tmp_path / "100% of?it")
    with served(tmp_path, runs=moved) as (port, messages):
        assert artifact(port, run) == config(moved)
    assert f"the folder was moved or copied from {finished}" in messages.read_text()
    assert not finished.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["100% of?it", messages.name]


def test_ui_refuses_a_port_of_another_program(tmp_path):
    (tmp_path / "runs").mkdir()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = factorlab("ui", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"factorlab: --host 127.0.0.1 --port {port}: the UI cannot listen")
    assert "in use" in sentence


@pytest.mark.parametrize("host", ["256.0.0.1", "127..1", "a" * 64])
def test_ui_refuses_a_host_that_does_not_exist(tmp_path, host):
    (tmp_path / "runs").mkdir()
    done = factorlab("ui", "--host", host, cwd=tmp_path)
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"factorlab: --host {host} --port 5000: the UI cannot listen")
    assert "another port" not in sentence


def test_ui_listens_on_loopback_only(tmp_path):
    (tmp_path / "runs").mkdir()
    with served(tmp_path) as (port, _):
        assert b"MLflow" in answer(port, "/")
        listening = Path("/proc/net/tcp").read_text()
        addresses = [line.split()[1] for line in listening.splitlines()[1:]]
        ours = {a.split(":")[0] for a in addresses if a.endswith(f":{port:04X}")}
        assert "0100007F" in ours
        assert "00000000" not in ours


def test_ui_ignores_variables_that_move_its_pages(tmp_path):
    (tmp_path / "runs").mkdir()
    moving = {"MLFLOW_STATIC_PREFIX": "/mlflow", "UVICORN_ROOT_PATH": "/x"}
    options = {"MLFLOW_UVICORN_OPTS": "--root-path /x", "MLFLOW_ARTIFACTS_ONLY": "true"}
    with served(tmp_path, **moving, **options) as (port, messages):
        assert b"const defaults" in answer(port, "/")
        assert answer(port, f"{ui_app.ASSISTANT}/config") is None
        assert f"MLflow UI on http://127.0.0.1:{port}/" in messages.read_text()


@pytest.mark.parametrize("prefix", ["", "/mlflow"])
def test_ui_refuses_the_assistant_below_any_prefix(prefix):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"{prefix}{ui_app.ASSISTANT}/message"}
    asyncio.run(ui_app.app(scope, None, send))
    assert sent[0]["status"] == 404


def test_ui_imports_nothing_from_working_folder(finished, tmp_path):
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in SHADOWING.split():
        text = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\nraise SystemExit(3)\n"
        (hostile / f"{name}.py").write_text(text)
    run = child_runs(finished)[key_of(0)].info.run_id
    with served(hostile, runs=finished) as (port, _):
        assert artifact(port, run) == config(finished)
    assert not (tmp_path / "imported").exists()


@pytest.mark.skipif(not may_mount(), reason="mounting is not permitted")
@pytest.mark.parametrize("log", ["without a log", "with a log", "with a log and its index"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_ui_serves_read_only_folder_from_copy(finished, tmp_path, log, end):
    run = child_runs(finished)[key_of(0)].info.run_id
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


def test_folder_is_removed_once_nothing_is_written_to_it(tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for number in range(1000):
        (folder / str(number)).touch()
    program = [sys.executable, "-I", "-c", server._REMOVE_AT_THE_END, str(folder)]
    end = time.monotonic() + 1
    with subprocess.Popen(program, stdin=subprocess.PIPE) as process:
        process.stdin.close()
        with contextlib.suppress(FileNotFoundError):
            while time.monotonic() < end:  # as a server does whose parent was killed
                (folder / "new").touch()
        wait_for(lambda: not folder.exists())
        assert process.wait(60) == 0


@pytest.mark.skipif(not may_mount(), reason="mounting is not permitted")
def test_ui_with_read_only_home_leaves_no_folder(tmp_path):
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
def test_ui_refuses_read_only_folder_without_store(tmp_path):
    (tmp_path / "runs").mkdir()
    mounted = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(tmp_path / "runs")]
    ended = subprocess.run(
        [*mounted, FACTORLAB, "ui"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "factorlab: runs: contains no MLflow store, and the folder is not writable\n"
    )


def test_ui_refuses_file_that_is_no_database(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mlflow.db").write_bytes(b"not a database, whatever its name says\n" * 9)
    ended = factorlab("ui", cwd=tmp_path)
    assert ended.returncode == 2
    assert "mlflow.db: cannot be opened: file is not a database" in ended.stderr
