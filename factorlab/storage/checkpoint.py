"""Checkpoints: whole, checked, two at a time, loaded without pickle."""

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
"""Version of what a checkpoint holds; one of another version is passed over."""

_NAME = re.compile(r"step-(\d{10})-([0-9a-f]{32})\.pt")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def save(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write a checkpoint and drop all but the two newest.

    Its name carries its checksum, so that one rename puts both in place.

    Args:
        folder: where checkpoints are; made if missing.
        step: optimizer steps done.
        state: tensors and plain values.
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
    """Return the newest checkpoint that is whole, None where there is none.

    A damaged one is named in the log and passed over, and so is one of another `FORMAT`, and one
    that was written after journal lines that are lost (its `journal_offset` lies beyond them).

    Args:
        folder: where checkpoints are.
        journal_length: bytes of the journal that are whole.
        device: type of the device to go on; random states of another do not fit.
    """
    for path, state in _whole(folder):
        if state["journal_offset"] > journal_length:
            log.warning("%s is ahead of its journal; going back to an older checkpoint", path)
            continue
        if state["device"] != device:
            log.warning("%s was written on %s; it does not go on here", path, state["device"])
            continue
        return state
    return None


def _whole(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the checkpoints that are whole and of this format, the newest first."""
    for path in _newest_first(folder):
        with naming(path):
            content = path.read_bytes()
        if not path.name.endswith(f"-{_digest(content)}.pt"):
            log.warning("%s is damaged; going back to an older checkpoint", path)
            continue
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if state.get("format") != FORMAT:
            log.warning("%s is of another version of factorlab; it does not go on here", path)
            continue
        yield path, state


def elsewhere(folder: Path, device: str) -> bool:
    """Return whether the newest whole checkpoint was written on another type of device."""
    return any(state["device"] != device for _, state in islice(_whole(folder), 1))


def clear(folder: Path) -> None:
    """Delete all checkpoints."""
    for path in _newest_first(folder):
        path.unlink(missing_ok=True)
