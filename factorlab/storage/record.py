"""The record of a trial on disk, which is the truth about it, and the key that names it.

``<runs>/trials/<key>/`` holds `config.json`, `code.json`, `metrics.jsonl`, `checkpoints/` while it
trains, `samples/` and `representations/`, and at the end `weights.safetensors` and, last,
`result.json`; or `failure.json`.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from factorlab import families
from factorlab.config import Layer, RunSettings
from factorlab.data.dataset import Dataset
from factorlab.storage import journal, lease
from factorlab.storage.files import (
    DamagedFile,
    canonical,
    digest,
    read_arrays,
    read_json,
    write_atomically,
    write_json,
)
from factorlab.storage.journal import Point

log = logging.getLogger(__name__)

NUMERICS = 2
"""Version of everything that computes a result; to be raised when a change alters any number."""

State = Literal["done", "failed", "running", "damaged", "resumable", "new"]

_OF_JOURNAL = "journal_sha256"
"""Key of a result: the checksum of the journal that led to it."""

_NO_INFLUENCE: dict[str, Any] = {
    "device": True,
    "representations": True,
    "training": {"checkpoint_every", "log_every"},
}


class Busy(RuntimeError):  # noqa: N818 - a state, not an error of either process
    """Another process is training this trial."""


@dataclass(frozen=True)
class Identity:
    """What decides a result, and its key."""

    document: dict[str, Any]
    """Configuration, data-set digest and version of the numerics, as plain JSON values."""

    @property
    def key(self) -> str:
        """sha256 of the document's canonical JSON: the same key means the same result."""
        return hashlib.sha256(canonical(self.document)).hexdigest()


def identify(settings: RunSettings, dataset: Dataset) -> Identity:
    """Return the identity of a run; devices and logging cadence are no part of it."""
    document = {
        "config": settings.model_dump(mode="json", exclude=_NO_INFLUENCE),
        "dataset": dataset.digest,
        "numerics": NUMERICS,
    }
    version = families.of(settings.data.family).VERSION
    return Identity(document if version == 1 else document | {"look": version})


class Record:
    """The files of one trial."""

    def __init__(self, runs: Path, key: str) -> None:
        self.key = key
        self.path = runs / "trials" / key
        self.journal = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.representations = self.path / "representations"
        self.analysis = self.path / "analysis"
        self.weights = self.path / "weights.safetensors"

    def create(self, identity: Identity, dataset: Dataset) -> None:
        """Make the folder and write what will be trained."""
        self.samples.mkdir(parents=True, exist_ok=True)
        sizes = {
            "samples_2d": dataset.samples_2d,
            "samples_total": dataset.samples_total,
            "lattice_labels": len(dataset.lattice),
        }
        document = {"key": self.key, **identity.document, **sizes}
        try:
            known = self.config() == document
        except DamagedFile:
            known = False
        if not known:
            write_json(self.path / "config.json", document)

    def remove_temporary_files(self) -> None:
        """Delete what a process that was killed while it wrote has left."""
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    def config(self) -> dict[str, Any] | None:
        """Return what `create` wrote, None before that."""
        return read_json(self.path / "config.json")

    def code(self) -> list[dict[str, Any]]:
        """Return which code trained the run, from which step on; see `provenance.code_record`.

        Empty where that is unknown: records of earlier versions do not say it.
        """
        try:
            document = read_json(self.path / "code.json")
        except DamagedFile as error:
            log.warning("%s; which code trained before is unknown", error)
            return []
        return list(document["code"]) if document is not None else []

    def write_code(self, entries: list[dict[str, Any]]) -> None:
        """Write which code trained the run."""
        write_json(self.path / "code.json", {"key": self.key, "code": entries})

    def result(self) -> dict[str, Any] | None:
        """Return the result, None while there is none.

        Raises:
            DamagedFile: the file or the journal is not what was written.
        """
        result = read_json(self.path / "result.json")
        # Results of earlier versions do not name their journal.
        if result is not None and result.get(_OF_JOURNAL) not in (None, self._journal_digest()):
            raise DamagedFile(f"{self.journal}: it is not the journal of the result")
        return result

    def write_result(self, result: dict[str, Any]) -> None:
        """Write the result, the last act of a trial."""
        document = {"key": self.key, **result, _OF_JOURNAL: self._journal_digest()}
        write_json(self.path / "result.json", document)

    def _journal_digest(self) -> str | None:
        return digest(self.journal) if self.journal.exists() else None

    def clear_result(self) -> None:
        """Let a trial be trained whose result is damaged."""
        (self.path / "result.json").unlink(missing_ok=True)

    def damage(self) -> str | None:
        """Return what is wrong with the files of a finished trial, in a line; None if nothing."""
        try:
            self.result()
        except DamagedFile as error:
            return str(error)
        return None

    def failure(self) -> str | None:
        """Return why the trial failed, None if it did not."""
        try:
            document = read_json(self.path / "failure.json")
        except DamagedFile:
            return "unknown"
        return str(document["reason"]) if document is not None else None

    def write_failure(self, reason: str, step: int) -> None:
        """Write why the trial failed; it is left alone until someone asks for another try."""
        document = {"key": self.key, "reason": reason, "step": step, "time": time.time()}
        write_json(self.path / "failure.json", document)

    def clear_failure(self) -> None:
        """Let a failed trial be tried again."""
        (self.path / "failure.json").unlink(missing_ok=True)

    def points(self, offset: int = 0) -> tuple[list[Point], int]:
        """Return the journal's points from a byte offset on, and the offset after them."""
        return journal.read(self.journal, offset)

    def write_samples(
        self, step: int, *, picture: np.ndarray, arrays: dict[str, np.ndarray]
    ) -> None:
        """Write the kept samples of an evaluation: a PNG to look at and arrays to compute with."""
        import cv2  # noqa: PLC0415 - 0.2 s that most readers of records do without

        whole, png = cv2.imencode(".png", picture)
        assert whole
        write_atomically(self.samples / f"step-{step:010d}.png", png.tobytes())
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(self._kept(step), buffer.getvalue())

    def _kept(self, step: int) -> Path:
        return self.samples / f"step-{step:010d}.npz"

    def read_samples(self, step: int) -> dict[str, np.ndarray] | None:
        """Return the arrays that an evaluation kept, None where it kept none.

        Raises:
            DamagedFile: the file is not what was written.
        """
        return read_arrays(self._kept(step))

    def represented(self) -> dict[int, Path]:
        """Return the folders of the steps whose representations are whole, by step, in order."""
        found = sorted(path.parent for path in self.representations.glob("step-*/index.json"))
        return {int(path.name.removeprefix("step-")): path for path in found}

    def layers(self) -> tuple[str, ...]:
        """Return the layers whose representations were kept, at the last of these steps.

        Raises:
            DamagedFile: the index is not what was written.
        """
        folders = list(self.represented().values())
        index = read_json(folders[-1] / "index.json") if folders else None
        names = tuple(name for name in index["sha256s"] if name != "labels") if index else ()
        if not set(names) <= set(get_args(Layer)):
            raise DamagedFile(f"{folders[-1]}: it names layers that no network has")
        return names

    def measures(self, layer: str) -> Path:
        """Return the journal of what was measured of a layer's representations."""
        return self.analysis / f"{layer}.jsonl"

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold the right to train this trial; the system frees it when the process dies.

        Raises:
            Busy: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(lease.hold(self.path / "lease"))
            except lease.Held:
                raise Busy(f"trial {self.key[:12]} is being trained by another process") from None
            yield

    @contextmanager
    def measuring(self, layer: str) -> Iterator[None]:
        """Hold the right to measure a layer's representations; waits for whoever has it."""
        self.analysis.mkdir(exist_ok=True)
        with lease.hold(self.analysis / f"{layer}.lock", wait=True):
            yield

    def state(self) -> State:
        """Return how far the trial is; one whose result or journal is damaged is not done."""
        damaged = False
        try:
            if self.result() is not None:
                return "done"
        except DamagedFile:
            damaged = True
        if lease.is_held(self.path / "lease"):
            return "running"
        if damaged:
            return "damaged"
        if (self.path / "failure.json").exists():
            return "failed"
        return "resumable" if (self.path / "config.json").exists() else "new"
