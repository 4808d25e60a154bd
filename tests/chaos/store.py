"""A store that is locked, gone, slow, refusing or full, and writers that are killed.

Records of many trials grow while one `MlflowSync` follows them into a real SQLite store, directly
or through a real server behind a faulty gate. At the end `MlflowSync.sync` must complete the store
with every point once, and a second call must change nothing.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import socketserver
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from factorlab.storage.files import write_json
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record
from sweeps.tracking.mlflow_sync import MlflowSync, TrackedTrial
from tests.chaos import disk, forks
from tests.helpers.mlflow_stores import served

SWEEP = "chaos_smoke"
MODE = "mode"
"""File that holds the gate's mode."""

TRIALS, MANY = 8, 200
KEYS = [f"{number:064x}" for number in range(MANY)]
LINES = 12
"""Of each journal; two metrics a line."""


def sync_of(runs: Path, trials: int = TRIALS) -> MlflowSync:
    """Return the MLflow sync of a sweep of so many trials."""
    tracked = [TrackedTrial(key, f"seed={key[-3:]}", {"seed": key[-3:]}) for key in KEYS[:trials]]
    return MlflowSync(
        runs=runs, sweep=SWEEP, experiment="chaos", profile="smoke", trials=tracked, interval=0.05
    )


def grow(runs: Path, lines: range, keys: Sequence[str] = KEYS[:TRIALS]) -> None:
    """Append lines to journals, as trials do; with the last line, write the results."""
    for key in keys:
        record = Record(runs, key)
        record.samples.mkdir(parents=True, exist_ok=True)
        if record.config() is None:
            write_json(record.path / "config.json", {"key": key, "config": {}})
        journal = Journal(record.journal)
        for line in lines:
            journal.append(10 * line, {"loss": 1 / (line + 1), "accuracy": line / LINES})
        if lines.stop == LINES:
            record.write_result({"metrics": {}, "device": "none", "finished": time.time()})


def _stored(runs: Path) -> list[tuple[str, str, int, float, int]]:
    """Return every point of the store as (key, metric, step, value, time), sorted."""
    query = (
        "select t.value, m.key, m.step, m.value, m.timestamp from metrics m "
        "join tags t on t.run_uuid = m.run_uuid and t.key = 'factorlab.key'"
    )
    with closing(sqlite3.connect(runs / "mlflow.db", timeout=30)) as store:
        return sorted(store.execute(query).fetchall())


def _expected(runs: Path, trials: int) -> list[tuple[str, str, int, float, int]]:
    """Return every point of the journals, as `_stored` does."""
    return sorted(
        (key, name, point.step, value, int(point.time * 1000))
        for key in KEYS[:trials]
        for point in Record(runs, key).points()[0]
        for name, value in point.metrics.items()
    )


def complete(runs: Path, trials: int = TRIALS) -> str:
    """Complete the store, twice; return what is wrong then."""
    grow(runs, range(LINES), KEYS[:trials])
    sync_of(runs, trials).sync()
    found, expected = _stored(runs), _expected(runs, trials)
    if len(expected) != 2 * LINES * trials:
        return f"the journals have {len(expected)} points"
    if found != expected:
        return f"the store has {len(found)} points, {len(set(found))} of them different"
    if sync_of(runs, trials).sync() != 0 or _stored(runs) != found:
        return "another sync changed the store"
    return ""


def make(folder: Path) -> Path:
    """Create a store without runs, which takes MLflow seconds; return its path."""
    forks.in_child(
        lambda: MlflowSync(
            runs=folder, sweep="none", experiment="none", profile="smoke", trials=[]
        ).sync()
    )
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / "mlflow.db"


def _followed(runs: Path, during: Callable[[], None]) -> None:
    """Let a sync follow growing journals while a fault happens; it must never raise."""
    sync = sync_of(runs)
    grow(runs, range(3))
    sync.start()
    time.sleep(0.5)
    during()
    grow(runs, range(LINES - 2))
    time.sleep(0.5)
    sync.stop()


# Faults of a database; each has its own runs folder


def locked(runs: Path) -> None:
    """Another program holds the database."""

    def hold() -> None:
        with closing(sqlite3.connect(runs / "mlflow.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            grow(runs, range(6))
            time.sleep(7)
            other.execute("ROLLBACK")

    _followed(runs, hold)


def gone(runs: Path) -> None:
    """The database is moved away for a while."""
    away = runs / "elsewhere"

    def move() -> None:
        away.mkdir()
        files = list(runs.glob("mlflow.db*"))
        for path in files:
            path.rename(away / path.name)
        grow(runs, range(6))
        time.sleep(1)
        for path in runs.glob("mlflow.db*"):
            path.unlink()
        for path in files:
            (away / path.name).rename(path)

    _followed(runs, move)


def emptied(runs: Path) -> None:
    """The database is deleted; a new one replaces it."""

    def delete() -> None:
        for path in runs.glob("mlflow.db*"):
            path.unlink()

    _followed(runs, delete)


def killed(runs: Path, when: float) -> None:
    """The process that syncs is killed at any moment of a pass."""
    grow(runs, range(LINES - 1))

    def send() -> None:
        threading.Timer(when, os.kill, (os.getpid(), signal.SIGKILL)).start()
        sync_of(runs).sync()

    forks.in_child(send)


# Faults of a server: a real server behind a gate


class Gate(socketserver.ThreadingTCPServer):
    """Passes connections on to a server, or breaks them as its mode says."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, port: int, mode: Path) -> None:
        self._mode = mode  # a file, since another process sets it
        gate = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    gate.serve(self.request, port)

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def mode(self) -> str:
        """The current mode."""
        return self._mode.read_text() if self._mode.exists() else "pass"

    def serve(self, client: socket.socket, port: int) -> None:
        """Handle one connection by the current mode."""
        if self.mode == "error":
            client.recv(65536)
            client.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        """Copy bytes until one side closes or the mode forbids it."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._lets_through():
                    break
                target.sendall(data)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _lets_through(self) -> bool:
        """Return whether bytes are passed on, after a delay in the modes `slow` and `hang`."""
        if self.mode == "slow":
            time.sleep(0.7)
        while self.mode == "hang":
            time.sleep(0.1)
        if self.mode == "cut":
            return random.random() > 0.3
        return self.mode not in ("refuse", "error")


@contextmanager
def server(runs: Path) -> Iterator[str]:
    """Serve the store of a runs folder by MLflow's own server; yield the URI of a gate to it."""
    with served(runs / "mlflow.db", runs / "artifacts") as port, Gate(port, runs / MODE) as gate:
        yield f"http://127.0.0.1:{gate.server_address[1]}"
        gate.shutdown()


def misbehaving(runs: Path, mode: str) -> None:
    """The gate is in a faulty mode for some seconds."""

    def switch() -> None:
        (runs / MODE).write_text(mode)
        grow(runs, range(6))
        time.sleep(3)
        (runs / MODE).unlink()

    _followed(runs, switch)


MODES = ("refuse", "error", "slow", "cut", "hang")


# Many trials, and a full disk


def crowd(runs: Path) -> None:
    """Two hundred trials write at once, from many processes, while one sync follows."""
    writers = []
    for first in range(0, MANY, 20):
        child = os.fork()
        if child == 0:
            for line in range(LINES - 1):
                grow(runs, range(line, line + 1), KEYS[first : first + 20])
                time.sleep(0.2)
            os._exit(0)
        writers.append(child)

    def follow() -> None:
        sync = sync_of(runs, MANY)
        sync.start()
        time.sleep(8)
        sync.stop()

    exited = forks.in_child(follow)
    for child in writers:
        os.waitpid(child, 0)
    assert exited.status == 0, exited.output


def full(runs: Path) -> None:
    """The disk of the store fills up while the sync writes."""
    filler = runs / "filler"

    def fill() -> None:
        room = shutil.disk_usage(runs).free
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while room > 0:
                file.write(bytes(4096))
                room -= 4096
        time.sleep(2)
        filler.unlink()

    _followed(runs, fill)


def small_disk(folder: Path) -> contextlib.AbstractContextManager[Path]:
    """Return a file system with space for a store and little more."""
    return disk.small(folder, 6000)
