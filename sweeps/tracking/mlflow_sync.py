"""A background thread that copies the records of a sweep to an MLflow store.

The records are authoritative, and training never waits for MLflow. If the store is unavailable, the
missing data is sent once it is available again, or by a later `MlflowSync.sync`. MLflow is imported
at its first use, because importing it takes seconds.
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
from sweeps.tracking.presentation.about import SweepAbout
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
from sweeps.tracking.stored_runs import Connection, Owner
from sweeps.tracking.sync_pass import SweepRuns
from sweeps.tracking.visit import SweepPhase

__all__ = ["MlflowSync", "TrackedTrial", "connect", "open_store", "redact", "tracking_uri"]

PATIENCE = 30.0
"""Timeout in seconds of `MlflowSync.stop`, and of waiting for a running pass in other methods."""

START_DELAY = 10.0
"""Seconds between `MlflowSync.start` and the first pass. Importing MLflow keeps a core busy for
about as long, which would slow down the start of the workers."""

LONGEST_PAUSE = 60.0
"""Maximum seconds between two attempts to reach an unavailable store."""

LONGEST_MESSAGE = 2000
"""Maximum characters of an error message of a store."""


def open_store(runs: Path) -> str | None:
    """Check the tracking URI, and repair the store if the runs folder was moved.

    Call this before training starts. A store that cannot be opened does not prevent training; the
    problem is reported when data is sent to it.

    Returns:
        A message for the user if the folder was moved or copied, otherwise None.

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
    """Open the store of a runs folder. Its own database is created if missing.

    Args:
        runs: Folder of all records.
        sweep: Sweep whose sync states identify the folder's runs in a shared store; None for all
            sweeps.

    Returns:
        The connection, and a message for the user if the folder was moved or copied.

    Raises:
        UserError: The database cannot be opened.
        InUse: Another process still syncs a sweep under the folder's former path.
    """
    uri = tracking_uri(runs)
    opened = access.open_folder(runs, uri)
    name = run_state.OWN if opened.alone else redact(uri, uri)
    remembered = frozenset[str]() if opened.alone else run_state.remembered(runs, sweep, store=name)
    owner = Owner(opened.folders, own_database(uri, runs), remembered)
    if opened.alone:
        uri = uri_of(runs)  # normalises the user's spelling
    return Connection(access.connect(uri), owner, name, artifact_root(uri, runs)), opened.note


class MlflowSync:
    """Keeps the parent run of a sweep and the child runs of its trials up to date.

    A thread makes a pass every few seconds. Only `sync` raises exceptions; otherwise `problem`
    describes what is wrong. Only one instance at a time can sync a sweep. A second one waits and
    reports this in `problem`.
    """

    def __init__(
        self,
        *,
        runs: Path,
        sweep: str,
        experiment: str,
        profile: str,
        trials: Sequence[TrackedTrial] | None,
        about: SweepAbout | None = None,
        searches: bool = False,
        interval: float = 3.0,
    ) -> None:
        """Create an instance without reading records or connecting to the store.

        Args:
            runs: Folder of all records.
            sweep: Identifier of the sweep. Instances with the same identifier share a parent run.
            experiment: Name of the MLflow experiment.
            profile: Profile of the experiment, for a tag.
            trials: All trials of the sweep, including finished ones; None if its plan is missing.
            about: What the sweep's run shows; None to show no more than its trials.
            searches: Whether a search may pick further trials; see `end_search`.
            interval: Seconds between two passes.
        """
        self.problem: str | None = None
        """The current problem in one sentence without secrets, or None."""
        self._runs, self._sweep = runs, sweep
        self._uri = tracking_uri(runs)
        self._database = own_database(self._uri, runs)
        self._opened: tuple[int, int] | None = None  # identity of the database file that is open
        self._moved: str | None = None
        self._sweep_runs = SweepRuns(
            runs=runs,
            sweep=sweep,
            experiment=experiment,
            profile=profile,
            trials=trials,
            about=about or SweepAbout(),
            searches=searches,
            connect=self._connect,
        )
        self._claim_path = runs / "sweeps" / sweep / "mirror.lock"
        self._claim: ExitStack | None = None
        self._interval, self._delay = interval, 0.0
        self._passing = threading.Lock()
        self._stopping = threading.Event()
        self._refresh = threading.Event()
        self._deadline = math.inf
        self._thread: threading.Thread | None = None

    def start(self, delay: float = 0.0) -> None:
        """Start the background thread. Its first pass begins after `delay` seconds."""
        self._delay = delay
        self._stopping.clear()
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._follow, name="mlflow-sync", daemon=True)
        self._thread.start()

    def add(self, trial: TrackedTrial) -> None:
        """Add a trial that a search picked."""
        self._sweep_runs.add(trial)

    def end_search(self) -> None:
        """State that the search picks no further trial. Until then the sweep is not finished."""
        self._sweep_runs.end_search()

    def stop(self) -> None:
        """Send the remaining data, end the runs and stop the thread within `PATIENCE` seconds.

        Trials without a result are marked as stopped, and so is the sweep unless all trials have
        ended. Call this when no trial is training.
        """
        if self._thread is None:
            return
        self._deadline = time.monotonic() + PATIENCE
        self._stopping.set()
        self._thread.join(PATIENCE)
        thread, self._thread = self._thread, None
        if thread.is_alive():  # it may still write, and releases the claim when it ends
            self._report(TimeoutError(f"no answer in {PATIENCE:.0f} seconds"), final=True)
        else:
            self._release()

    def refresh(self) -> None:
        """Check finished trials again at the next pass, because they may have new measures."""
        self._refresh.set()

    def sync(self) -> int:
        """Bring all runs up to date now, and return the number of metric points sent.

        If the thread is not running, the records determine the status of trials without a result:
        those that a process is training stay running, the others are marked as stopped.

        Raises:
            Exception: MLflow raised an error. `problem` describes it without secrets.
        """
        try:
            return self._pass("unknown" if self._thread is None else "live")
        except Exception as error:
            self._report(error)
            raise
        finally:
            if self._thread is None:
                self._release()

    def log_figures(self, files: Sequence[Path], verdicts: Sequence[tuple[str, str]] = ()) -> None:
        """Upload files to `figures` of the parent run, and show the images in its description.

        Args:
            files: The files.
            verdicts: Findings and how they were judged, for the description.
        """
        if not self._passing.acquire(timeout=PATIENCE):
            self._report(TimeoutError(f"no answer in {PATIENCE:.0f} seconds"))
            return
        try:
            self._take()
            self._check_database()
            self._sweep_runs.log_figures(files, verdicts)
        except Exception as error:
            self._report(error)
        finally:
            if self._thread is None:
                self._release()
            self._passing.release()

    def notes(self) -> list[str]:
        """Return messages for the user about the store, in addition to `problem`."""
        moved = [] if self._moved is None else [self._moved]
        return [*moved, *self._sweep_runs.notes(self._uri)]

    def _take(self) -> None:
        """Claim the sweep for this instance. The claim ends when the process dies.

        Raises:
            RuntimeError: Another process holds the claim.
        """
        if self._claim is not None:
            return
        self._claim_path.parent.mkdir(parents=True, exist_ok=True)
        claim = ExitStack()
        try:
            claim.enter_context(lease.hold(self._claim_path))
        except lease.Held:
            raise RuntimeError("another process keeps this sweep's runs up to date") from None
        # Save the current path, for processes that find the folder at another path.
        self._claim_path.write_bytes(os.fsencode(self._runs.resolve()))
        self._claim = claim

    def _release(self) -> None:
        if self._claim is not None:
            access.close()  # only with a claim; another instance may be using its connections
            with suppress(OSError):  # the folder was moved or the disk is full
                self._claim_path.write_bytes(b"")
            self._claim.close()
            self._claim = None

    def _follow(self) -> None:
        """Make passes until stopped, followed by a final pass."""
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
                if self._thread is None:  # `stop` did not wait any longer
                    self._release()
                return
            self._stopping.wait(pause)

    def _out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    def _pass(self, phase: SweepPhase, out_of_time: Callable[[], bool] = lambda: False) -> int:
        with self._passing:
            self._take()
            self._check_database()
            if self._refresh.is_set():
                self._refresh.clear()
                self._sweep_runs.refresh()
            sent = self._sweep_runs.send(phase, out_of_time)
        self.problem = None
        return sent

    def _report(self, error: Exception, *, final: bool = False) -> None:
        """Set `problem` from an error."""
        what = f"MLflow at {redact(self._uri, self._uri)}: {sentence(error, self._uri)}"
        self.problem = f"{what}; 'factorlab sync' sends the rest" if final else what

    def _connect(self) -> Connection:
        """Open the store. The runs folder's own database is created if missing."""
        connection, note = connect(self._runs, self._sweep)
        self._moved = note or self._moved
        self._opened = _identity(self._database)
        return connection

    def _check_database(self) -> None:
        """Check that the database file was not deleted or replaced while it was open.

        SQLite would continue to write to the deleted file.

        Raises:
            RuntimeError: The file was deleted or replaced.
        """
        if self._opened is not None and _identity(self._database) != self._opened:
            raise RuntimeError("the database was deleted or replaced while it was open")


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Return device and inode number of a file, or None if it does not exist."""
    if path is None or not path.exists():
        return None
    found = path.stat()
    return found.st_dev, found.st_ino


def sentence(error: Exception, uri: str) -> str:
    """Return the message of an error in one line without secrets.

    Long messages are shortened in the middle, because MLflow puts remedies at the end.
    """
    text = redact(str(error), uri).partition("\n[SQL:")[0]
    text = " ".join(text.split()) or type(error).__name__
    if len(text) <= LONGEST_MESSAGE:
        return text
    return f"{text[: LONGEST_MESSAGE // 2]} ... {text[-LONGEST_MESSAGE // 2 :]}"
