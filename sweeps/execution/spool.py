"""Records on object storage, for clusters whose machines share no disk.

Workers train in a runs folder of their own machine, the spool, and upload records. A worker that
begins a trial downloads its record first. The driver downloads the records of trials that ended.

Each object is a whole record at one moment, as a ZIP archive: ``trials/<key>/step-<step>.zip`` with
the newest checkpoint of a trial that trains, and ``ended.zip`` of one that ended. So objects of two
machines never mix, and an older record never takes the place of a newer one.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from factorlab.errors import UserError, disk_full
from factorlab.storage.files import reason_of, write_atomically
from factorlab.storage.record import Record
from sweeps.execution.listener import SweepListener
from sweeps.execution.outcomes import Outcome
from sweeps.planning.plan import Plan
from sweeps.planning.search import picked

log = logging.getLogger(__name__)

ENDINGS = ("failure.json", "stopped.json", "result.json")
"""Files that say how a trial ended. They are written last."""

ENDED = "ended.zip"

_OWN = ("lease", "mlflow", "analysis")
"""Files and folders of a record that belong to one machine."""

AT_ONCE = 16
"""Records that the driver transfers at the same time."""


class Spool:
    """The records in a bucket.

    Args:
        uri: For example `s3://BUCKET/PATH` or `gs://BUCKET/PATH`; credentials come from the
            environment.

    Raises:
        UserError: The URI is of no known kind, or the storage refuses access.
    """

    def __init__(self, uri: str) -> None:
        from pyarrow import ArrowException, fs  # noqa: PLC0415 - half a second

        self.uri, self._fs = uri, fs
        try:
            self._store, path = fs.FileSystem.from_uri(uri)
            self._root = PurePosixPath(path)
            if isinstance(self._store, fs.LocalFileSystem) or not path:
                raise UserError(f"--spool {uri}: not a bucket; allowed: s3://BUCKET/PATH and gs://")
            bucket = self._store.get_file_info(self._root.parts[0])
        except (OSError, ArrowException) as error:
            raise UserError(f"--spool {uri}: {error}") from None
        if bucket.type == fs.FileType.NotFound:
            raise UserError(f"--spool {uri}: bucket {self._root.parts[0]} does not exist")
        self._sent: dict[str, str] = {}
        """Name of the newest object of each key that this process knows to be in the bucket."""

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn errors of the storage into those of the user, who chose it."""
        try:
            yield
        except OSError as error:
            if error.filename is not None:  # a file of this machine
                raise
            raise UserError(f"--spool {self.uri}: {error}") from error

    def _at(self, key: str) -> PurePosixPath:
        return self._root / "trials" / key

    def _names(self, folder: PurePosixPath) -> dict[str, set[str]]:
        """Return the names of all objects below a folder, by the folder that holds them."""
        selector = self._fs.FileSelector(str(folder), allow_not_found=True, recursive=True)
        names = defaultdict(set)
        for found in self._store.get_file_info(selector):
            if found.is_file:
                names[PurePosixPath(found.path).parent.name].add(found.base_name)
        return names

    def send(self, record: Record) -> None:
        """Upload a record if it has ended or has a checkpoint that is newer than the bucket's.

        Raises:
            UserError: The storage cannot be written.
        """
        name = _name(record)
        if name is None or self._sent.get(record.key) == name:
            return
        content = _packed(record)
        folder = self._at(record.key)
        with self._telling():
            there = self._names(folder)[record.key]
            if name == ENDED or (name > max(there, default="") and ENDED not in there):
                with self._store.open_output_stream(str(folder / name)) as stream:
                    stream.write(content)
            for old in there - {ENDED}:
                if name == ENDED or old < name:
                    with suppress(FileNotFoundError):  # another machine was faster
                        self._store.delete_file(str(folder / old))
        self._sent[record.key] = name

    def fetch(self, record: Record, *, ended: bool = False) -> None:
        """Download a record if the bucket has a newer one than this machine.

        Args:
            record: The record on this machine.
            ended: Whether to download it only if the trial has ended.

        Raises:
            UserError: The storage cannot be read.
            OSError: The record on this machine cannot be written.
        """
        if record.state() in ("done", "running"):
            return
        with self._telling():
            there = self._names(self._at(record.key))[record.key]
            if ENDED in there:
                self._write(record, ENDED)
            elif not ended:
                record.clear_failure()  # the trial has not ended, or is to be trained again
                record.clear_stopped()
                newest = max(there, default="")
                if newest > (_name(record) or ""):
                    self._write(record, newest)

    def _write(self, record: Record, name: str) -> None:
        """Write the content of an object into a record."""
        path = self._at(record.key) / name
        with self._store.open_input_stream(str(path)) as stream:
            content = stream.read()
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for member in archive.namelist():
                    target = record.path / member
                    if not target.resolve().is_relative_to(record.path.resolve()):
                        raise UserError(f"--spool {self.uri}: {path}: {member} leaves the record")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(target, archive.read(member))
        except zipfile.BadZipFile as error:
            raise UserError(f"--spool {self.uri}: {path}: {error}") from None
        self._sent[record.key] = name

    def exchange(self, records: Sequence[Record]) -> None:
        """Download the records of all trials that ended, and upload those that only are here.

        A record that cannot be read or written on this machine is left out.

        Raises:
            UserError: The storage cannot be read or written.
        """
        with self._telling():
            there = self._names(self._root / "trials")

        def one(record: Record) -> None:
            try:
                if ENDED in there.get(record.key, ()):
                    self.fetch(record, ended=True)
                elif record.state() in ("done", "failed"):
                    self.send(record)
            except OSError as error:
                if disk_full(error):
                    raise
                log.warning("%s; this record is left out", reason_of(error))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for moved in [pool.submit(one, record) for record in records]:
                moved.result()

    def forget(self, record: Record) -> None:
        """Delete the end of a trial from the bucket, so that it is trained again.

        Raises:
            UserError: The storage cannot be written.
        """
        with self._telling(), suppress(FileNotFoundError):
            self._store.delete_file(str(self._at(record.key) / ENDED))
        self._sent.pop(record.key, None)


def _name(record: Record) -> str | None:
    """Return the name of the object of a record, None if there is nothing to continue from."""
    if any((record.path / name).exists() for name in ENDINGS):
        return ENDED
    newest = max((path.name for path in record.checkpoints.glob("step-*.pt")), default=None)
    return newest and f"{newest.rpartition('-')[0]}.zip"  # without the checksum


def _packed(record: Record) -> bytes:
    """Return the files of a record that are the same on every machine.

    They are written in this order: a checkpoint after the journal that it needs, the ending last.
    """
    files = [
        path
        for path in record.path.rglob("*")
        if path.is_file()
        and path.relative_to(record.path).parts[0] not in _OWN
        and path.suffix != ".tmp"
    ]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(files, key=lambda p: (p.name in ENDINGS, p.suffix == ".pt", p)):
            archive.writestr(str(path.relative_to(record.path)), path.read_bytes())
    return content.getvalue()


class FetchingListener:
    """Downloads the record of each trial that ended, and forwards all calls to another listener.

    Args:
        listener: The other listener.
        spool: Where the records are.
        runs: The driver's folder of all records.
        wait: Whether to wait for each download, for a search that learns from the result.
    """

    def __init__(self, listener: SweepListener, spool: Spool, runs: Path, *, wait: bool) -> None:
        self._listener, self._spool, self._runs, self._wait = listener, spool, runs, wait
        self._pool = ThreadPoolExecutor(AT_ONCE)  # starts threads when they are needed
        self._fetching: list[Future[None]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the listener's method
        return getattr(self._listener, name)

    def ended(self, key: str, outcome: Outcome, accuracy: float | None = None) -> None:
        """Download the record of a trial that ended."""
        record = Record(self._runs, key)
        self._fetching.append(self._pool.submit(self._spool.fetch, record, ended=True))
        if self._wait:
            self._fetching[-1].exception()
        self._listener.ended(key, outcome, accuracy)

    def finish(self) -> None:
        """Wait for the downloads. `Spool.exchange` repeats those that failed."""
        for one in self._fetching:
            one.exception()
        self._fetching.clear()


def check_spool(plan: Plan) -> None:
    """Check that a sweep needs no record on two machines at the same time.

    Raises:
        UserError: Its trials keep representations, or it stops trials early.
    """
    needs = "a runs folder that all machines share; run this experiment without --spool"
    trials = plan.trials or picked.guesses(plan, 1)  # a search may not have picked any
    if any(trial.run.representations.layers for trial in trials):
        raise UserError(f"{plan.source}: representations.layers: representations need {needs}")
    if plan.scheduler is not None:
        raise UserError(f"{plan.source}: scheduler: early stopping needs {needs}")
