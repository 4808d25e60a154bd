"""Every kind of MLflow store, as a context that yields its tracking URI."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def own_sqlite(_folder):
    """The runs folder's own database."""
    yield ""


@contextmanager
def other_sqlite(folder):
    """A SQLite database outside of the runs folder."""
    yield f"sqlite:///{folder}/other.db"


@contextmanager
def served(database, artifacts):
    """Run MLflow's tracking server over a SQLite database and yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}"]
    command += ["--artifacts-destination", str(artifacts)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    try:
        address = f"http://127.0.0.1:{port}/health"
        _wait_for(lambda: urllib.request.urlopen(address, timeout=2).close())
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def server(folder):
    """MLflow's tracking server."""
    with served(folder / "server.db", folder / "artifacts") as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def postgresql(_folder):
    """A PostgreSQL server, where it is installed."""
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        pytest.skip("PostgreSQL is not installed")
    # The server refuses to run as root, and its user has to reach the folder.
    user = "postgres" if os.geteuid() == 0 else None
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL runs as no root, and there is no user postgres")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="factorlab-postgres-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        initdb = ["initdb", "--auth=trust", "--username=factorlab", "--no-sync", str(data)]
        subprocess.run(initdb, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        command = ["postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
        command += ["-k", str(folder)]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=log)
        try:
            _wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close())
            yield f"postgresql+psycopg://factorlab@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown
            process.wait()


def _wait_for(attempt, seconds=90):
    """Try until it raises no OSError any more."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


STORES = {
    "own SQLite": own_sqlite,
    "other SQLite": other_sqlite,
    "server": server,
    "PostgreSQL": postgresql,
}
