"""The record of a trial on disk, and the key that names it.

The record is the authoritative source about a trial. ``<runs>/trials/<key>/`` holds `config.json`,
`code.json`, `metrics.jsonl`, `samples/`, `representations/`, and `checkpoints/` during training. A
finished trial also has `weights.safetensors` and `result.json`, which is written last. A failed
trial has `failure.json` instead, and one that a scheduler stopped early `stopped.json`.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from factorlab import families
from factorlab.config import RunSettings, layer_of
from factorlab.data.dataset import Dataset
from factorlab.errors import UserError
from factorlab.storage import journal, lease
from factorlab.storage.files import (
    DamagedFile,
    canonical,
    digest,
    read_arrays,
    read_json,
    reason_of,
    write_atomically,
    write_json,
)
from factorlab.storage.journal import Point

log = logging.getLogger(__name__)

NUMERICS = 2
"""Version of the numerical code. Raise it when a change alters any number in a result."""

State = Literal["done", "failed", "stopped", "running", "damaged", "unreadable", "resumable", "new"]

_OF_JOURNAL = "journal_sha256"
"""Key in `result.json`: checksum of the journal of the run."""

_NO_INFLUENCE: dict[str, Any] = {
    "device": True,
    "representations": True,
    "training": {"checkpoint_every", "log_every"},
}


class Busy(RuntimeError):  # noqa: N818 - a state, not an error of either process
    """Another process is training this trial."""


@dataclass(frozen=True)
class Identity:
    """Everything that determines a result, and its key."""

    document: dict[str, Any]
    """Configuration, data-set digest and version of the numerics, as plain JSON values."""

    @property
    def key(self) -> str:
        """sha256 of the canonical JSON of the document. The same key means the same result."""
        return hashlib.sha256(canonical(self.document)).hexdigest()


def identify(settings: RunSettings, dataset: Dataset) -> Identity:
    """Return the identity of a run, without the settings that do not affect its result."""
    document = {
        "config": settings.model_dump(mode="json", exclude=_NO_INFLUENCE),
        "dataset": dataset.digest,
        "numerics": NUMERICS,
    }
    version = families.of(settings.data.family).VERSION
    # "look" is the name of a data family in existing keys.
    return Identity(document if version == 1 else document | {"look": version})


def recorded(runs: Path) -> set[str]:
    """Return the keys of all records in a runs folder."""
    folder = runs / "trials"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def find_key(runs: Path, prefix: str) -> str:
    """Return the key that starts with a prefix.

    Raises:
        UserError: No record or several records have such a key.
    """
    found = sorted(key for key in recorded(runs) if prefix and key.startswith(prefix))
    if len(found) > 1:
        raise UserError(
            f"{runs / 'trials'}: {len(found)} keys start with '{prefix}'; give a longer prefix"
        )
    if not found:
        raise UserError(f"{runs / 'trials'}: no key starts with '{prefix}'")
    return found[0]


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
        """Create the folder and write the configuration."""
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
        """Delete temporary files that killed processes left behind."""
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    def config(self) -> dict[str, Any] | None:
        """Return the document written by `create`, None if there is none yet."""
        return read_json(self.path / "config.json")

    def code(self) -> list[dict[str, Any]]:
        """Return which code trained the run, from which step on; see `provenance.code_record`.

        The list is empty if this is unknown, as in records of earlier versions.

        Raises:
            OSError: The file cannot be read now. What it holds must not be lost.
        """
        try:
            document = read_json(self.path / "code.json")
        except DamagedFile as error:
            log.warning("%s; the code of earlier training steps is unknown", error)
            return []
        return list(document["code"]) if document is not None else []

    def write_code(self, entries: list[dict[str, Any]]) -> None:
        """Write which code trained the run."""
        write_json(self.path / "code.json", {"key": self.key, "code": entries})

    def result(self) -> dict[str, Any] | None:
        """Return the result, None while there is none.

        Raises:
            DamagedFile: The checksum of the file or of the journal does not match.
        """
        result = read_json(self.path / "result.json")
        # Results of earlier versions have no checksum of their journal.
        if result is not None and result.get(_OF_JOURNAL) not in (None, self._journal_digest()):
            raise DamagedFile(f"{self.journal}: its checksum does not match the one in result.json")
        return result

    def write_result(self, result: dict[str, Any]) -> None:
        """Write the result, which completes a trial."""
        document = {"key": self.key, **result, _OF_JOURNAL: self._journal_digest()}
        write_json(self.path / "result.json", document)

    def has_result(self) -> bool:
        """Return whether there is a result, intact or not; False if the folder cannot be read."""
        return os.access(self.path / "result.json", os.F_OK)

    def _journal_digest(self) -> str | None:
        return digest(self.journal) if self.journal.exists() else None

    def clear_result(self) -> None:
        """Delete a damaged result, so that the trial can be trained again."""
        (self.path / "result.json").unlink(missing_ok=True)

    def problem(self) -> str | None:
        """Return in one line why the result is damaged or cannot be read, None if neither holds."""
        try:
            if self.result() is None:
                lease.is_held(self.path / "lease")  # `state` reads it, too
        except (DamagedFile, OSError) as error:
            return reason_of(error)
        return None

    def failure(self) -> str | None:
        """Return why the trial failed, None if it did not, or that the file cannot be used."""
        try:
            document = read_json(self.path / "failure.json")
        except (DamagedFile, OSError) as error:
            return f"unknown, since {reason_of(error)}"
        return str(document["reason"]) if document is not None else None

    def write_failure(self, reason: str, step: int) -> None:
        """Write why the trial failed. It is then skipped until a retry is requested."""
        document = {"key": self.key, "reason": reason, "step": step, "time": time.time()}
        write_json(self.path / "failure.json", document)

    def clear_failure(self) -> None:
        """Delete the failure, so that the trial can be tried again."""
        (self.path / "failure.json").unlink(missing_ok=True)

    def write_stopped(self, step: int, scheduler: str) -> None:
        """Write that a scheduler stopped the trial early. It can be resumed from this step.

        Args:
            step: Optimizer steps done.
            scheduler: Name of the scheduler.
        """
        document = {"key": self.key, "step": step, "scheduler": scheduler, "time": time.time()}
        write_json(self.path / "stopped.json", document)

    def stopped(self) -> dict[str, Any] | None:
        """Return the document written by `write_stopped`, None if there is none."""
        return read_json(self.path / "stopped.json")

    def clear_stopped(self) -> None:
        """Delete the mark of `write_stopped`, so that the trial is resumed."""
        (self.path / "stopped.json").unlink(missing_ok=True)

    def points(self, offset: int = 0) -> tuple[list[Point], int]:
        """Return the journal's points from a byte offset on, and the offset after them."""
        return journal.read(self.journal, offset)

    def write_samples(
        self, step: int, *, picture: np.ndarray, arrays: dict[str, np.ndarray]
    ) -> None:
        """Write the saved samples of an evaluation: a PNG to look at and arrays for analysis."""
        import cv2  # noqa: PLC0415 - takes 0.2 s, and most readers of records do not need it

        whole, png = cv2.imencode(".png", picture)
        assert whole
        write_atomically(self.samples / f"step-{step:010d}.png", png.tobytes())
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(self._kept(step), buffer.getvalue())

    def _kept(self, step: int) -> Path:
        return self.samples / f"step-{step:010d}.npz"

    def read_samples(self, step: int) -> dict[str, np.ndarray] | None:
        """Return the arrays that an evaluation saved, None if it saved none.

        Raises:
            DamagedFile: The file is damaged or cannot be read.
        """
        return read_arrays(self._kept(step))

    def represented(self) -> dict[int, Path]:
        """Return the folders of the steps with complete representations, by step, in order."""
        found = sorted(path.parent for path in self.representations.glob("step-*/index.json"))
        return {int(path.name.removeprefix("step-")): path for path in found}

    def layers(self) -> tuple[str, ...]:
        """Return the layers whose representations were saved, at the last step that has any.

        Raises:
            DamagedFile: The index is damaged or names unknown layers.
        """
        folders = list(self.represented().values())
        index = read_json(folders[-1] / "index.json") if folders else None
        names = tuple(name for name in index["sha256s"] if name != "labels") if index else ()
        try:
            for name in names:
                layer_of(name)
        except ValueError:
            raise DamagedFile(f"{folders[-1]}: index.json names unknown layers") from None
        return names

    def measures(self, layer: str) -> Path:
        """Return the path of the journal with the measures of a layer's representations."""
        return self.analysis / f"{layer}.jsonl"

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold the lease on this trial; the operating system frees it if the process dies.

        Raises:
            Busy: Another process holds it.
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
        """Hold the lease on the measures of a layer; wait until it is free."""
        self.analysis.mkdir(exist_ok=True)
        with lease.hold(self.analysis / f"{layer}.lock", wait=True):
            yield

    def state(self) -> State:
        """Return the state of the trial. A trial with a damaged result or journal is not done.

        Raises:
            OSError: The system refused an operation for a reason that concerns all records, such as
                too many open files.
        """
        try:
            return self._state()
        except OSError as error:
            reason_of(error)
            return "unreadable"

    def _state(self) -> State:
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
        if (self.path / "stopped.json").exists():
            return "stopped"
        return "resumable" if (self.path / "config.json").exists() else "new"
