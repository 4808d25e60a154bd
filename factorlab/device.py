"""The device that a run computes on."""

from __future__ import annotations

import os
import platform

import torch

from factorlab.errors import UserError


def resolve_device(name: str) -> torch.device:
    """Return the device of a setting; `auto` is CUDA where there is one, made deterministic.

    Raises:
        UserError: CUDA is asked for where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device = 'cuda': this machine has no usable CUDA device; allowed: cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        _make_deterministic()
    return torch.device(name)


def _make_deterministic() -> None:
    """Let a GPU give the same bits every time, for a few per cent of its speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def describe_device(device: torch.device) -> str:
    """Return the name of the hardware that a result is computed on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()}, {torch.get_num_threads()} threads"
