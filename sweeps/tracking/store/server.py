"""`factorlab ui`: run MLflow's server for a runs folder, including read-only ones."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import webbrowser
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from factorlab.errors import UserError
from factorlab.storage.files import check_writable
from factorlab.system import cache_folder
from sweeps.tracking.presentation import landing
from sweeps.tracking.store import access, identity
from sweeps.tracking.store.relocate import InUse, relocate
from sweeps.tracking.store.uri import (
    artifact_root,
    check_tracking_uri,
    is_server,
    own_database,
    redact,
    tracking_uri,
    uri_of_file,
)

_REMOVE_AT_THE_END = """\
import os, shutil, sys, time
sys.stdin.read()
for _ in range(600):
    shutil.rmtree(sys.argv[1], True)
    if not os.path.lexists(sys.argv[1]):
        break
    time.sleep(1)
"""
"""Program that waits until its standard input is closed and then removes a folder.

Tries again, since the workers of a killed server may still write to it.
"""


_OPEN = """\
import sys, time, urllib.request, webbrowser
for _ in range(300):
    try:
        urllib.request.urlopen(sys.argv[1] + "health", timeout=5).close()
    except OSError:
        time.sleep(1)
    else:
        webbrowser.open(sys.argv[1])
        break
"""
"""Program that waits for the server and then opens its page in the user's browser."""

_MOVING = (
    *("MLFLOW_STATIC_PREFIX", "_MLFLOW_STATIC_PREFIX"),
    *("MLFLOW_ARTIFACTS_ONLY", "_MLFLOW_SERVER_ARTIFACTS_ONLY"),
    *("MLFLOW_GUNICORN_OPTS", "MLFLOW_UVICORN_OPTS", "UVICORN_ROOT_PATH"),
)
"""Variables for a server behind a proxy, which move or remove pages of this one."""


def serve(
    runs: Path, host: str, port: int, console: Console, *, open_browser: bool = False
) -> None:
    """Replace this process by MLflow's server.

    Returns without starting one if the store is a server, because that has its own UI.

    Args:
        runs: Folder of all records.
        host: Address to listen on.
        port: Port to listen on.
        console: Console for messages.
        open_browser: Whether to open the page in the user's browser.

    Raises:
        UserError: The store cannot be used, the folder has no store and is not writable, or another
            program listens on the port.
    """
    check_tracking_uri(runs)
    uri = tracking_uri(runs)
    if is_server(uri):
        page = f"{redact(uri, uri).rstrip('/')}/{_start_of(uri)}"
        where = f"MLFLOW_TRACKING_URI is a server, which has its own UI: {page}"
        console.print(where, highlight=False, soft_wrap=True)
        if open_browser:
            webbrowser.open(f"{uri.rstrip('/')}/{_start_of(uri)}")
        return
    _check_free(host, port)
    root = artifact_root(uri, runs)
    database = own_database(uri, runs)
    if database is not None:
        uri = _open(runs, uri, database, console)
    page = f"http://{host}:{port}/"
    console.print(f"MLflow UI on {page}", highlight=False)
    if open_browser:
        _start([sys.executable, "-I", "-c", _OPEN, page])
    _execute(uri, root, host, port)


def _check_free(host: str, port: int) -> None:
    """Check that the server will be able to listen.

    Raises:
        UserError: Another program listens there, or this machine has no such address.
    """
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except (OSError, UnicodeError) as error:
        taken = isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES)
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"--host {host} --port {port}: the UI cannot listen there: {reason}"
            f"{'; choose another port with --port' if taken else ''}"
        ) from None


def _start_of(uri: str) -> str:
    """Return the fragment of a server's URL that shows the newest sweep.

    It is empty if there is none, or if the server does not answer, which its page will show.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

    try:
        sweeps = landing.newest_sweeps(access.connect(uri))
    except MlflowException:
        return ""
    return landing.start(sweeps, view=True) or ""


def _open(runs: Path, uri: str, database: Path, console: Console) -> str:
    """Open the runs folder's own database or a temporary copy of it, and return the URI."""
    if runs.is_dir() and not _is_writable(runs, database):
        if not database.exists():
            raise UserError(f"{runs}: contains no MLflow store, and the folder is not writable")
        reason = f"{runs} is not writable"
    else:
        check_writable(runs)
        try:
            note = access.open_folder(runs, uri).note
        except InUse as error:
            reason = str(error)
        else:
            if note is not None:
                console.print(note, highlight=False, soft_wrap=True)
            return uri
    console.print(
        f"{reason}: showing a copy of its current MLflow store; changes will not be saved",
        highlight=False,
        soft_wrap=True,
    )
    return uri_of_file(_private_copy(runs, database))


def _is_writable(runs: Path, database: Path) -> bool:
    return os.access(runs, os.W_OK) and (not database.exists() or os.access(database, os.W_OK))


def _private_copy(runs: Path, database: Path) -> Path:
    """Return a copy of a database that is deleted when this process or its replacement ends."""
    folder = Path(tempfile.mkdtemp(prefix="factorlab-ui-"))
    _remove_at_the_end(folder)
    copy = folder / database.name
    _copy(database, copy)
    known = identity.read(runs) or identity.Identity("")
    relocate(copy, runs.resolve(), known, in_use_matters=False)
    return copy


def _remove_at_the_end(folder: Path) -> None:
    """Start a process that removes a folder after this process has ended in any way."""
    waits, held = os.pipe()
    os.set_inheritable(held, True)  # keep it open in the program that replaces this one
    _start([sys.executable, "-I", "-c", _REMOVE_AT_THE_END, str(folder)], waits)
    os.close(waits)


def _start(command: list[str], reads: int = subprocess.DEVNULL) -> None:
    """Start a program of ours that outlives this process and does not receive Ctrl-C."""
    subprocess.Popen(  # noqa: S603 - fixed programs
        command,
        stdin=reads,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _copy(database: Path, copy: Path) -> None:
    """Copy a SQLite database that is read-only.

    SQLite can read the database if the index of its write-ahead log exists, even while another
    process writes. If the index is missing, SQLite cannot create it in a read-only folder. There is
    no writer in that case, so the files are copied directly.

    Raises:
        UserError: The file is not a database.
    """
    try:
        source = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error:
        copy.unlink(missing_ok=True)
        for suffix in ("", "-wal"):
            if Path(f"{database}{suffix}").exists():
                shutil.copyfile(f"{database}{suffix}", f"{copy}{suffix}")
    try:
        with closing(sqlite3.connect(copy)) as target:
            target.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise UserError(f"{database}: cannot be opened: {error}") from None


def _execute(uri: str, root: str | None, host: str, port: int) -> NoReturn:
    """Replace this process by MLflow's server, so that signals reach the server directly."""
    found = find_spec("mlflow")
    assert found is not None
    assert found.origin is not None
    environment = {
        **{name: value for name, value in os.environ.items() if name not in _MOVING},
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_BACKEND_STORE_URI": uri,  # not an argument, as it may contain a password
        # Do not import from the working folder, which uvicorn would put first on the path.
        "PYTHONSAFEPATH": "1",
        "UVICORN_APP_DIR": str(Path(found.origin).parent.parent),
    }
    scratch_folder = cache_folder.made()
    if scratch_folder is not None:
        _remove_at_the_end(scratch_folder)
    arguments = ["--host", host, "--port", str(port), "--workers", "1", "--app-name", "factorlab"]
    if root is not None:
        arguments += ["--default-artifact-root", root]
    command = [sys.executable, "-m", "mlflow", "server", *arguments]
    sys.stderr.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606 - a list, no shell
