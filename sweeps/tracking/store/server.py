"""`factorlab ui`: MLflow's server over a runs folder, also over one that cannot be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from factorlab.errors import UserError
from factorlab.storage.files import check_writable
from factorlab.system import cache_folder
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

_REMOVE_AT_THE_END = "import shutil, sys; sys.stdin.read(); shutil.rmtree(sys.argv[1], True)"
"""Program of a process that waits until nobody holds the other end of its input."""


def serve(runs: Path, host: str, port: int, console: Console) -> None:
    """Serve the MLflow UI in place of this process; returns if a server has one of its own.

    Raises:
        UserError: the store cannot be used or the folder holds none and cannot be written.
    """
    check_tracking_uri(runs)
    uri = tracking_uri(runs)
    if is_server(uri):
        console.print(f"MLFLOW_TRACKING_URI is a server with a UI of its own: {redact(uri, uri)}")
        return
    root = artifact_root(uri, runs)
    database = own_database(uri, runs)
    if database is not None:
        uri = _open(runs, uri, database, console)
    console.print(f"MLflow UI on http://{host}:{port}", highlight=False)
    _execute(uri, root, host, port)


def _open(runs: Path, uri: str, database: Path, console: Console) -> str:
    """Open the runs folder's own database, or a copy of it; returns the URI."""
    if runs.is_dir() and not _is_writable(runs, database):
        if not database.exists():
            raise UserError(f"{runs}: it holds no MLflow store, and none can be written there")
        reason = f"{runs} cannot be written"
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
        f"{reason}: this is a copy of its MLflow store as it is now, and changes are not kept",
        highlight=False,
        soft_wrap=True,
    )
    return uri_of_file(_private_copy(runs, database))


def _is_writable(runs: Path, database: Path) -> bool:
    return os.access(runs, os.W_OK) and (not database.exists() or os.access(database, os.W_OK))


def _private_copy(runs: Path, database: Path) -> Path:
    """Return a copy of a database that lasts as long as this process, or what it becomes."""
    folder = Path(tempfile.mkdtemp(prefix="factorlab-ui-"))
    _remove_at_the_end(folder)
    copy = folder / database.name
    _copy(database, copy)
    known = identity.read(runs) or identity.Identity("")
    relocate(copy, runs.resolve(), known, in_use_matters=False)
    return copy


def _remove_at_the_end(folder: Path) -> None:
    """Let another process remove a folder once this one has ended, however it ends."""
    waits, held = os.pipe()
    os.set_inheritable(held, True)  # by the program that replaces this one
    subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-I", "-c", _REMOVE_AT_THE_END, str(folder)],
        stdin=waits,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )
    os.close(waits)


def _copy(database: Path, copy: Path) -> None:
    """Copy a SQLite database that cannot be written.

    SQLite itself reads one whose log it may share with a writer elsewhere. Without that log's
    index, which it cannot create, nobody writes, and the files can be copied.

    Raises:
        UserError: it is no database.
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
        raise UserError(f"{database}: it does not open: {error}") from None


def _execute(uri: str, root: str | None, host: str, port: int) -> NoReturn:
    """Become MLflow's server: signals reach it, and nothing is left behind."""
    found = find_spec("mlflow")
    assert found is not None
    assert found.origin is not None
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_BACKEND_STORE_URI": uri,  # not an argument: it may hold a password
        # Nothing is imported from the working folder; uvicorn would put it in front of all.
        "PYTHONSAFEPATH": "1",
        "UVICORN_APP_DIR": str(Path(found.origin).parent.parent),
    }
    scratch_folder = cache_folder.made()
    if scratch_folder is not None:
        _remove_at_the_end(scratch_folder)
    arguments = ["--host", host, "--port", str(port), "--workers", "1"]
    if root is not None:
        arguments += ["--default-artifact-root", root]
    command = [sys.executable, "-m", "mlflow", "server", *arguments]
    sys.stderr.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606 - a list, no shell
