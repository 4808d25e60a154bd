"""MLflow's view of a sweep: one writer, beside the sweep, that copies records into a store.

The records are the truth and training never waits for MLflow: what a store that is away misses
is sent when it is back, or by a later `Mirror.sync`. MLflow is imported where it is first used,
which takes seconds.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from sweeps import store
from sweeps.mirror import Moment, SweepRuns
from sweeps.mlflow_run import TrackedTrial

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Mirror", "TrackedTrial", "redact", "tracking_uri"]

PATIENCE = 30.0
"""Seconds that `Mirror.stop` and `Mirror.log_figures` may take at most."""

START_DELAY = 10.0
"""Seconds before the first pass of `Mirror.start`, in which workers start; MLflow's own start
keeps a core busy for as long."""

LONGEST_PAUSE = 60.0
"""Seconds between two attempts to reach a store that is away."""

_DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}
"""Kinds of address that are a database, not a server."""

_SECRET_OPTION = re.compile(
    r"([?&][\w.-]*(?:pass|pwd|token|secret|key|sig)[\w.-]*=)([^&\s'\"]+)", re.I
)
_CREDENTIALS = re.compile(r"://(\S*)@")


def tracking_uri(runs: Path) -> str:
    """Return the store's address: MLFLOW_TRACKING_URI, else a SQLite file in the runs folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or store.uri_of(runs)


def redact(text: str, uri: str = "") -> str:
    """Return a text without credentials: those in addresses, and those of one address anywhere."""
    secrets = [os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")]
    secrets += [match[2] for match in _SECRET_OPTION.finditer(uri)]
    for match in _CREDENTIALS.finditer(uri):
        user, _, password = match[1].partition(":")
        secrets.append(password or user)
    text = _SECRET_OPTION.sub(r"\1***", _CREDENTIALS.sub("://***@", text))
    for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


class Mirror:
    """Keeps a sweep's parent run and its trials' child runs up to date from their records.

    A thread makes a pass every few seconds. Nothing but `sync` ever raises; `problem` says what is
    wrong. One mirror at a time follows a sweep; a second one waits, and says so.
    """

    def __init__(
        self,
        *,
        runs: Path,
        sweep: str,
        experiment: str,
        profile: str,
        trials: Sequence[TrackedTrial],
        interval: float = 3.0,
    ) -> None:
        """Prepare; neither reads a record nor touches the store.

        Args:
            runs: folder of all records.
            sweep: identifies the sweep: one parent run for all mirrors with the same.
            experiment: name of the MLflow experiment.
            profile: of the experiment, for a tag.
            trials: all trials of the sweep, also those that are done.
            interval: seconds between two passes.
        """
        self.problem: str | None = None
        """What is wrong, in one sentence without secrets; None while all is well."""
        self._uri = tracking_uri(runs)
        self._database = store.own(self._uri, runs)
        self._opened: tuple[int, int] | None = None  # the database that the client has open
        # A server keeps artifacts itself; for a mere database MLflow would use the working folder.
        database = self._uri.split(":", 1)[0].split("+", 1)[0] in _DATABASES
        self._sweep_runs = SweepRuns(
            runs=runs,
            sweep=sweep,
            experiment=experiment,
            profile=profile,
            trials=trials,
            store=redact(self._uri, self._uri),
            artifacts=(runs.resolve() / "artifacts").as_uri() if database else None,
            connect=self._connect,
        )
        self._claim_path = runs / "sweeps" / sweep / "mirror.lock"
        self._claim: IO[str] | None = None
        self._interval, self._delay = interval, 0.0
        self._passing = threading.Lock()
        self._stopping = threading.Event()
        self._deadline = math.inf
        self._thread: threading.Thread | None = None

    def start(self, delay: float = 0.0) -> None:
        """Follow the records in the background, from `delay` seconds on; returns at once."""
        self._delay = delay
        self._stopping.clear()
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._follow, name="mlflow-mirror", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send what is left and end the runs; returns within `PATIENCE` seconds.

        Trials without a result are shown as stopped, and so is the sweep unless all are over.
        To be called when no trial trains any more.
        """
        if self._thread is None:
            return
        self._deadline = time.monotonic() + PATIENCE
        self._stopping.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._report(TimeoutError(f"no answer in {PATIENCE:.0f} seconds"), final=True)
        self._thread = None
        self._release()

    def look_again(self) -> None:
        """Look at finished trials once more: they were measured since."""
        if self._passing.acquire(timeout=PATIENCE):
            self._sweep_runs.look_again()
            self._passing.release()

    def sync(self) -> int:
        """Bring all runs up to date now; returns how many metric points were sent.

        While no thread follows the sweep, the records tell what goes on: a trial that a process
        is training stays running, another one without a result is shown as stopped.

        Raises:
            Exception: what MLflow raised, which `problem` says without secrets.
        """
        try:
            return self._pass("unknown" if self._thread is None else "live")
        except Exception as error:
            self._report(error)
            raise
        finally:
            if self._thread is None:
                self._release()

    def log_figures(self, files: Sequence[Path]) -> None:
        """Put files under `figures` of the parent run."""
        if not self._passing.acquire(timeout=PATIENCE):
            self._report(TimeoutError(f"no answer in {PATIENCE:.0f} seconds"))
            return
        try:
            self._take()
            self._sweep_runs.log_figures(files)
        except Exception as error:
            self._report(error)
        finally:
            if self._thread is None:
                self._release()
            self._passing.release()

    def _take(self) -> None:
        """Become the sweep's one mirror; the system ends the claim when the process dies.

        Raises:
            RuntimeError: another process is.
        """
        if self._claim is not None:
            return
        self._claim_path.parent.mkdir(parents=True, exist_ok=True)
        claim = self._claim_path.open("a")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
            raise RuntimeError("another process keeps this sweep's runs up to date") from None
        self._claim = claim

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _follow(self) -> None:
        """Make passes until the mirror is stopped, and one more."""
        pause = self._interval
        self._stopping.wait(self._delay)
        while True:
            final = self._stopping.is_set()
            try:
                self._pass("stopped" if final else "live", self._out_of_time)
                pause = self._interval
            except Exception as error:
                self._report(error, final=final)
                pause = min(2 * pause, LONGEST_PAUSE)
            if final:
                return
            self._stopping.wait(pause)

    def _out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    def _pass(self, moment: Moment, out_of_time: Callable[[], bool] = lambda: False) -> int:
        with self._passing:
            self._take()
            self._check_database()
            sent = self._sweep_runs.send(moment, out_of_time)
        self.problem = None
        return sent

    def _report(self, error: Exception, *, final: bool = False) -> None:
        """Say what is wrong."""
        message = redact(str(error), self._uri).strip() or type(error).__name__
        what = f"MLflow at {redact(self._uri, self._uri)}: {message.splitlines()[0][:300]}"
        self.problem = f"{what}; 'factorlab sync' sends the rest" if final else what

    def _connect(self) -> MlflowClient:
        """Return a client of the store, which is made if it is the runs folder's own."""
        if self._database is not None:
            store.prepare(self._database)
            self._opened = _identity(self._database)
        return store.connect(self._uri)

    def _check_database(self) -> None:
        """Notice a database that is not there any more; SQLite writes on into the deleted file.

        Raises:
            RuntimeError: it is not.
        """
        if self._opened is not None and _identity(self._database) != self._opened:
            raise RuntimeError("the database was deleted or replaced while it was open")


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Return what stays the same of a file while it is there."""
    if path is None or not path.exists():
        return None
    found = path.stat()
    return found.st_dev, found.st_ino
