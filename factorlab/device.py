"""The device that a run computes on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from factorlab.errors import UserError


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as in a sweep, so that either can resume the other's trial."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(name: str) -> torch.device:
    """Return the device of a setting; `auto` is CUDA if available. CUDA is made deterministic.

    Args:
        name: `auto`, `cpu` or `cuda`.

    Returns:
        The device.

    Raises:
        UserError: The setting is `cuda` and this machine has no usable CUDA device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device = 'cuda': this machine has no usable CUDA device; allowed: cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        _make_deterministic()
    return torch.device(name)


def _make_deterministic() -> None:
    """Make a GPU compute the same bits every time, at a cost of a few per cent of its speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first matrix product
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def describe_device(device: torch.device) -> str:
    """Return the name of the hardware that a result is computed on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()}, {torch.get_num_threads()} threads"
