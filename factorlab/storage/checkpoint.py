"""Checkpoints: written atomically with a checksum, the two newest kept, loaded without pickle."""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from factorlab.storage.files import naming, write_atomically

log = logging.getLogger(__name__)

KEPT = 2
"""The newest, and the one before it in case the newest is damaged."""

FORMAT = 3
"""Version of the content of a checkpoint; checkpoints of other versions are skipped."""

_NAME = re.compile(r"step-(\d{10})-([0-9a-f]{32})\.pt")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def save(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write a checkpoint and delete all but the two newest.

    The file name contains the checksum, so one rename puts both in place.

    Args:
        folder: Folder of the checkpoints; created if missing.
        step: Optimizer steps done.
        state: Tensors and plain values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({**state, "format": FORMAT}, buffer)
    content = buffer.getvalue()
    write_atomically(folder / f"step-{step:010d}-{_digest(content)}.pt", content)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def _newest_first(folder: Path) -> list[Path]:
    return sorted((p for p in folder.glob("*.pt") if _NAME.fullmatch(p.name)), reverse=True)


def newest(folder: Path, journal_length: int, device: str) -> dict[str, Any] | None:
    """Return the newest usable checkpoint, None if there is none.

    Unusable checkpoints are reported in the log and skipped. These are damaged ones, those of
    another `FORMAT` or another type of device, and those ahead of the journal: their
    `journal_offset` lies beyond its intact lines.

    Args:
        folder: Folder of the checkpoints.
        journal_length: Bytes of the journal up to its last intact line.
        device: Type of the device that resumes. Random states of other device types do not fit.
    """
    for path, state in _whole(folder):
        if state["journal_offset"] > journal_length:
            log.warning("%s is ahead of its journal; going back to an older checkpoint", path)
            continue
        if state["device"] != device:
            log.warning("%s was written on %s; skipping it on this device", path, state["device"])
            continue
        return state
    return None


def _whole(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the intact checkpoints of this format, newest first."""
    for path in _newest_first(folder):
        with naming(path):
            content = path.read_bytes()
        if not path.name.endswith(f"-{_digest(content)}.pt"):
            log.warning("%s is damaged; going back to an older checkpoint", path)
            continue
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if state.get("format") != FORMAT:
            log.warning("%s was written by another version of factorlab; skipping it", path)
            continue
        yield path, state


def elsewhere(folder: Path, device: str) -> bool:
    """Return whether the newest intact checkpoint was written on another type of device."""
    return any(state["device"] != device for _, state in islice(_whole(folder), 1))


def clear(folder: Path) -> None:
    """Delete all checkpoints."""
    for path in _newest_first(folder):
        path.unlink(missing_ok=True)
