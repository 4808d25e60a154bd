"""Records on object storage, for clusters whose machines share no disk.

Workers train in a runs folder of their own machine, the spool, and upload records. A worker that
begins a trial downloads its record first. The driver downloads the records of trials that ended.

Experimental. The record of a trial is uploaded before the sweep counts it as ended, `result.json`
last. What does not hold yet is listed in docs/experiments.md, "Without a shared disk".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, cast

from factorlab.errors import UserError
from factorlab.storage.files import write_atomically
from factorlab.storage.record import Record
from sweeps.execution.listener import SweepListener
from sweeps.execution.outcomes import Outcome

ENDINGS = ("failure.json", "stopped.json", "result.json")
"""Files that say how a trial ended. They are transferred last."""

_OWN = ("lease", "mlflow", "analysis")
"""Files and folders of a record that belong to one machine."""

AT_ONCE = 16
"""Records that the driver downloads at the same time."""


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
            bucket = self._store.get_file_info(self._root.parts[0])
        except (OSError, ArrowException) as error:
            raise UserError(f"--spool {uri}: {error}") from None
        if bucket.type == fs.FileType.NotFound:
            raise UserError(f"--spool {uri}: bucket {self._root.parts[0]} does not exist")
        self._sent: dict[Path, tuple[int, int]] = {}

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn errors of the storage into those of the user, who chose it."""
        try:
            yield
        except OSError as error:
            raise UserError(f"--spool {self.uri}: {error}") from error

    def _at(self, record: Record) -> PurePosixPath:
        return self._root / "trials" / record.key

    def keys(self) -> set[str]:
        """Return the keys of all trials that have a record in the bucket."""
        return {PurePosixPath(found.path).name for found in self._list(self._root / "trials")}

    def _list(self, folder: PurePosixPath, *, recursive: bool = False) -> list[Any]:
        selector = self._fs.FileSelector(str(folder), allow_not_found=True, recursive=recursive)
        return cast(list[Any], self._store.get_file_info(selector))

    def send(self, record: Record) -> None:
        """Upload what is new in a record. Checkpoints come after the journal, the ending last.

        Raises:
            UserError: The storage cannot be written.
        """
        checkpoints = sorted(record.checkpoints.glob("*.pt"))  # before the journal is read
        others = [path for path in _files(record) if path.parent != record.checkpoints]
        with self._telling():
            self._upload(record, [path for path in others if path.name not in ENDINGS])
            self._upload(record, checkpoints)
            self._upload(record, [path for path in others if path.name in ENDINGS])
            kept = {path.name for path in checkpoints}
            for found in self._list(self._at(record) / "checkpoints"):
                if found.base_name not in kept:
                    self._store.delete_file(found.path)

    def has_news(self, record: Record) -> bool:
        """Return whether a record has a checkpoint that was not uploaded."""
        return any(path not in self._sent for path in record.checkpoints.glob("*.pt"))

    def _upload(self, record: Record, paths: Iterable[Path]) -> None:
        for path in paths:
            status = path.stat()
            version = (status.st_mtime_ns, status.st_size)
            if self._sent.get(path) == version:
                continue
            target = self._at(record) / path.relative_to(record.path)
            with self._store.open_output_stream(str(target)) as stream:
                stream.write(path.read_bytes())
            self._sent[path] = version

    def fetch(self, record: Record, *, ended: bool = False) -> None:
        """Download a record unless this machine has it or has begun to train it.

        Args:
            record: The record on this machine.
            ended: Whether to download it only if the trial has ended.

        Raises:
            UserError: The storage cannot be read.
        """
        with self._telling():
            self._fetch(record, ended=ended)

    def _fetch(self, record: Record, *, ended: bool) -> None:
        state = record.state()
        if state in ("done", "running"):
            return
        found = [one for one in self._list(self._at(record), recursive=True) if one.is_file]
        endings = [one for one in found if one.base_name in ENDINGS]
        if not endings and (ended or state != "new"):
            return
        for one in sorted(found, key=lambda one: one.base_name in ENDINGS):
            path = record.path / PurePosixPath(one.path).relative_to(self._at(record))
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._store.open_input_stream(one.path) as stream:
                write_atomically(path, stream.read())

    def fetch_all(self, records: Sequence[Record]) -> None:
        """Download the records of all trials that have ended.

        Raises:
            UserError: The storage cannot be read.
        """
        with self._telling():
            there = self.keys()
        wanted = [record for record in records if record.key in there]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for fetched in [pool.submit(self.fetch, one, ended=True) for one in wanted]:
                fetched.result()

    def forget(self, record: Record) -> None:
        """Delete from a record in the bucket how its trial ended, so that it is trained again.

        Raises:
            UserError: The storage cannot be written.
        """
        with self._telling():
            for name in ENDINGS:
                with suppress(FileNotFoundError):
                    self._store.delete_file(str(self._at(record) / name))


def _files(record: Record) -> list[Path]:
    """Return the files of a record that are the same on every machine, in a fixed order."""
    return [
        path
        for path in sorted(record.path.rglob("*"))
        if path.is_file()
        and path.relative_to(record.path).parts[0] not in _OWN
        and not path.name.endswith(".tmp")
    ]


class FetchingListener:
    """Downloads the record of each trial that ended, and forwards all calls to another listener.

    Args:
        listener: The other listener.
        spool: Where the records are.
        runs: The driver's folder of all records.
    """

    def __init__(self, listener: SweepListener, spool: Spool, runs: Path) -> None:
        self._listener, self._spool, self._runs = listener, spool, runs
        self._pool = ThreadPoolExecutor(AT_ONCE)  # starts threads when they are needed
        self._fetched: list[Future[None]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the listener's method
        return getattr(self._listener, name)

    def ended(self, key: str, outcome: Outcome, accuracy: float | None = None) -> None:
        """Download the record of a trial that ended."""
        record = Record(self._runs, key)
        self._fetched.append(self._pool.submit(self._spool.fetch, record, ended=True))
        self._listener.ended(key, outcome, accuracy)

    def finish(self) -> None:
        """Wait for the downloads.

        Raises:
            UserError: One of them failed.
        """
        fetched, self._fetched = self._fetched, []
        for one in fetched:
            one.result()
