"""Every kind of MLflow store, as a context that yields its tracking URI, and object storage."""

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

import boto3
import pytest
from moto.server import ThreadedMotoServer


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


class PostgreSQL:
    """A PostgreSQL server on the loopback address, which can crash and start again."""

    def __init__(self, folder, user):
        self.folder, self.user, self.port = folder, user, free_port()
        self.uri = f"postgresql+psycopg://factorlab@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "--auth=trust", "--username=factorlab", str(folder / "data"))

    def _run(self, *command):
        subprocess.run(
            command, user=self.user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL
        )

    def start(self):
        """Start the server and wait until it answers."""
        command = ["postgres", "-D", str(self.folder / "data"), "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-k", str(self.folder)]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command, user=self.user, cwd=self.folder, stdout=log, stderr=log
            )
        _wait_for(lambda: self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)))

    def stop(self, kind=signal.SIGINT):
        """Stop the server: SIGINT ends its sessions, SIGQUIT is like a crash."""
        self._process.send_signal(kind)
        self._process.wait()


@contextmanager
def postgresql_server():
    """A PostgreSQL server that runs, where it is installed."""
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        pytest.skip("PostgreSQL is not installed")
    # The server refuses to run as root, and its user has to reach the folder.
    user = "postgres" if os.geteuid() == 0 else None
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL runs as no root, and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="factorlab-postgres-") as name:
        if user:
            shutil.chown(name, user)
        server = PostgreSQL(Path(name), user)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgresql(_folder):
    """A PostgreSQL database, where it is installed."""
    with postgresql_server() as server:
        yield server.uri


@contextmanager
def bucket_of(name, setenv):
    """A new bucket of a server that speaks S3; sets the environment of its clients."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    for variable in ("AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL"):
        setenv(variable, endpoint)
    setenv("AWS_ACCESS_KEY_ID", "any")
    setenv("AWS_SECRET_ACCESS_KEY", "any")
    setenv("AWS_DEFAULT_REGION", "us-east-1")
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    s3 = boto3.resource("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    bucket = s3.create_bucket(Bucket=name)
    try:
        yield bucket
    finally:
        bucket.objects.all().delete()  # a later server in this process would have them
        bucket.delete()
        s3.meta.client.close()
        server.stop()


def _wait_for(attempt, seconds=90):
    """Try until it raises no error of the system or of a command any more."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except (OSError, subprocess.CalledProcessError):
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
