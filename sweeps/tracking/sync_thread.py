"""MLflow's view of a sweep: one writer, beside the sweep, that copies records into a store.

The records are the truth and training never waits for MLflow: what a store that is away misses
is sent when it is back, or by a later `MlflowSync.sync`. MLflow is imported where it is first used,
which takes seconds.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from factorlab.errors import UserError
from factorlab.storage import lease
from sweeps.tracking import run_state
from sweeps.tracking.run_logging import TrackedTrial
from sweeps.tracking.store import access
from sweeps.tracking.store.relocate import InUse
from sweeps.tracking.store.uri import (
    artifact_root,
    check_tracking_uri,
    own_database,
    redact,
    tracking_uri,
    uri_of,
)
from sweeps.tracking.stored_runs import Owner
from sweeps.tracking.sweep_sync import SweepRuns
from sweeps.tracking.trial_runs import Connection, Moment

__all__ = ["MlflowSync", "TrackedTrial", "connect", "open_store", "redact", "tracking_uri"]

PATIENCE = 30.0
"""Seconds that `MlflowSync.stop` and `MlflowSync.log_figures` may take at most."""

START_DELAY = 10.0
"""Seconds before the first pass of `MlflowSync.start`, in which workers start; MLflow's own start
keeps a core busy for as long."""

LONGEST_PAUSE = 60.0
"""Seconds between two attempts to reach a store that is away."""

LONGEST_MESSAGE = 2000
"""Characters of what a store says that are passed on."""


def open_store(runs: Path) -> str | None:
    """Check the tracking URI, and mend a store that was moved with its runs folder.

    To be called before anything trains. A store that cannot be opened now is no reason not to
    train: who sends to it says what is wrong.

    Returns:
        A sentence for the user, if the folder had been moved or copied.

    Raises:
        UserError: MLflow can never use the tracking URI.
    """
    check_tracking_uri(runs)
    uri = tracking_uri(runs)
    database = own_database(uri, runs)
    if database is None or not database.exists():
        return None
    try:
        return access.open_folder(runs, uri).note
    except (UserError, InUse, OSError):
        return None


def connect(runs: Path, sweep: str | None) -> tuple[Connection, str | None]:
    """Open the store for a runs folder; makes its own database if need be.

    Args:
        runs: folder of all records.
        sweep: whose state files tell which runs of a shared store are the folder's; None for all.

    Returns:
        The connection, and a sentence for the user if the folder had been moved or copied.

    Raises:
        UserError: the database does not open.
        InUse: a process follows a sweep by the folder's former place.
    """
    uri = tracking_uri(runs)
    opened = access.open_folder(runs, uri)
    name = run_state.OWN if opened.alone else redact(uri, uri)
    remembered = frozenset[str]() if opened.alone else run_state.remembered(runs, sweep, store=name)
    owner = Owner(opened.folders, own_database(uri, runs), remembered)
    if opened.alone:
        uri = uri_of(runs)  # however the user spelled it
    return Connection(access.connect(uri), owner, name, artifact_root(uri, runs)), opened.note


class MlflowSync:
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
        trials: Sequence[TrackedTrial] | None,
        interval: float = 3.0,
    ) -> None:
        """Prepare; neither reads a record nor touches the store.

        Args:
            runs: folder of all records.
            sweep: identifies the sweep: one parent run for all mirrors with the same.
            experiment: name of the MLflow experiment.
            profile: of the experiment, for a tag.
            trials: all trials of the sweep, also those that are done; None if its plan is gone.
            interval: seconds between two passes.
        """
        self.problem: str | None = None
        """What is wrong, in one sentence without secrets; None while all is well."""
        self._runs, self._sweep = runs, sweep
        self._uri = tracking_uri(runs)
        self._database = own_database(self._uri, runs)
        self._opened: tuple[int, int] | None = None  # the database that the client has open
        self._moved: str | None = None
        self._sweep_runs = SweepRuns(
            runs=runs,
            sweep=sweep,
            experiment=experiment,
            profile=profile,
            trials=trials,
            connect=self._connect,
        )
        self._claim_path = runs / "sweeps" / sweep / "mirror.lock"
        self._claim: ExitStack | None = None
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

    def refresh(self) -> None:
        """Look at finished trials once more: they were measured since."""
        if self._passing.acquire(timeout=PATIENCE):
            self._sweep_runs.refresh()
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
            self._check_database()
            self._sweep_runs.log_figures(files)
        except Exception as error:
            self._report(error)
        finally:
            if self._thread is None:
                self._release()
            self._passing.release()

    def notes(self) -> list[str]:
        """Return sentences for the user on what the store holds, beside `problem`."""
        moved = [] if self._moved is None else [self._moved]
        return [*moved, *self._sweep_runs.notes(self._uri)]

    def _take(self) -> None:
        """Become the sweep's one mirror; the system ends the claim when the process dies.

        Raises:
            RuntimeError: another process is.
        """
        if self._claim is not None:
            return
        self._claim_path.parent.mkdir(parents=True, exist_ok=True)
        claim = ExitStack()
        try:
            claim.enter_context(lease.hold(self._claim_path))
        except lease.Held:
            raise RuntimeError("another process keeps this sweep's runs up to date") from None
        # By which place it follows, for whoever finds the folder at another one.
        self._claim_path.write_bytes(os.fsencode(self._runs.resolve()))
        self._claim = claim

    def _release(self) -> None:
        if self._claim is not None:
            access.close()  # not where another mirror follows, which may be using one
            with suppress(OSError):  # the folder was moved, or the disk is full
                self._claim_path.write_bytes(b"")
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
        what = f"MLflow at {redact(self._uri, self._uri)}: {sentence(error, self._uri)}"
        self.problem = f"{what}; 'factorlab sync' sends the rest" if final else what

    def _connect(self) -> Connection:
        """Open the store, which is made if it is the runs folder's own."""
        connection, note = connect(self._runs, self._sweep)
        self._moved = note or self._moved
        self._opened = _identity(self._database)
        return connection

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


def sentence(error: Exception, uri: str) -> str:
    """Return what an error says, in one line without secrets.

    A remedy stands at the end of what MLflow says, so a text that is too long lacks its middle.
    """
    text = redact(str(error), uri).partition("\n[SQL:")[0]
    text = " ".join(text.split()) or type(error).__name__
    if len(text) <= LONGEST_MESSAGE:
        return text
    return f"{text[: LONGEST_MESSAGE // 2]} ... {text[-LONGEST_MESSAGE // 2 :]}"
