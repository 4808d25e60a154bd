"""Activations of the network's inner layers, saved in a record at evaluations ([W], [F]: layer 4).

The representations of one step are a folder. It holds `labels.npy`, (samples, 2), in pixels; one
`<layer>.npy` per layer, (samples, features), in half precision, and `<layer>-t<time>.npy` for each
further noise time; and `index.json` with the checksums of the other files. `index.json` is written
last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import torch
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray
from torch import Tensor, nn

from factorlab.config import Layer, RunSettings
from factorlab.data import lattice
from factorlab.data.lattice import Labels
from factorlab.data.rendering import render, to_model
from factorlab.model.cuda_graph import with_cuda_graph
from factorlab.model.diffusion import Diffusion, SampleNoise
from factorlab.model.unet import capture_activations, untrained
from factorlab.seeding import Stream, integer
from factorlab.storage.files import (
    DamagedFile,
    digest,
    naming,
    read_json,
    sync,
    temporary_name,
    write_json,
)


@dataclass(frozen=True, eq=False)
class Representations:
    """The saved activations of a layer for a grid of labels."""

    step: int
    """Optimizer steps done."""

    labels: Labels
    """(samples, 2), in pixels, x slowest."""

    points: NDArray[np.float16]
    """(samples, features), memory-mapped from disk."""

    sides: tuple[int, int]
    """Number of labels along x and along y."""

    time: int | None
    """Noise time of the images that the network has seen; None if version 0.2 or older saved it."""

    common_noise: bool
    """Whether all labels have the same noise."""


def grid_labels(settings: RunSettings) -> Labels:
    """Return the labels whose activations are saved, (side^2, 2), x slowest.

    In a periodic image they are evenly spaced around the circle. Otherwise they span the labels
    that are evaluated, from rim to rim (our choice; [F] has 1024 labels on a grid).
    """
    data, side = settings.data, settings.representations.grid
    if data.periodic:
        axis = 1 + data.size * np.arange(side) / side
    else:
        rim = 0 if settings.evaluation.labels == "all" else 1
        axis = np.linspace(1 + rim, data.size - rim, side)
    return lattice.grid(axis, axis)


def collect(
    settings: RunSettings, diffusion: Diffusion, model: nn.Module, folder: Path, step: int
) -> None:
    """Sample a grid of labels and write the activations of the layers, unless they exist already.

    Each sample is noised to each time step and passed through the network once more. With few,
    large denoising steps, the last of them would see the noise rather than the image (our choice;
    the papers use the last of a thousand steps, which is time 0). The noise of each label is the
    same at every training step and time step, so that only the model and the amount of noise
    change. Activations are written batch by batch.

    Args:
        settings: Settings of the run.
        diffusion: Diffusion process of the run.
        model: Network to sample from.
        folder: Folder of all representations of the record.
        step: Optimizer steps done.

    Raises:
        OSError: The files cannot be written.
    """
    target, wanted = folder / f"step-{step:010d}", settings.representations
    if not wanted.layers or (target / "index.json").exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    labels = grid_labels(settings)
    names = ["labels", *(name for saved in wanted.saved.values() for name in saved.values())]
    with ExitStack() as opened:
        files = {
            name: opened.enter_context(_File(target / f"{name}.npy", len(labels))) for name in names
        }
        _write(files, labels, settings, diffusion, model)
        digests = {name: file.finish() for name, file in files.items()}
    sync(target)
    sides = [wanted.grid, wanted.grid]
    times = {name: time for time, saved in wanted.saved.items() for name in saved.values()}
    index = {"step": step, "sides": sides, "sha256s": digests, "times": times}
    write_json(target / "index.json", {**index, "common_noise": wanted.common_noise})


def _write(
    files: dict[str, _File],
    labels: Labels,
    settings: RunSettings,
    diffusion: Diffusion,
    model: nn.Module,
) -> None:
    """Sample all labels and write the activations of the layers, batch by batch."""
    files["labels"].append(labels)
    device, size = next(model.parameters()).device, settings.data.size
    denoise = with_cuda_graph(model, device)

    def sampled(places: range, part: Tensor) -> Tensor:
        seeds = [integer(settings.seed, Stream.REPRESENTATIONS, i, 0) for i in places]
        return diffusion.sample(denoise, part, seeds, size)

    wanted = settings.representations
    times, common = [*wanted.saved], wanted.common_noise
    for time, inputs in _passes(labels, times, common, settings, diffusion, device, sampled):
        write = partial(_append, files, wanted.saved[time])
        with capture_activations(model, settings.representations.layers, write), torch.no_grad():
            model(*inputs)


def _passes(
    labels: Labels,
    times: Sequence[int],
    common_noise: bool,
    settings: RunSettings,
    diffusion: Diffusion,
    device: torch.device,
    images: Callable[[range, Tensor], Tensor],
) -> Iterator[tuple[int, tuple[Tensor, Tensor, Tensor]]]:
    """Yield the arguments of the network for each batch and noise time.

    Args:
        labels: Labels in pixels, (samples, 2).
        times: Noise times.
        common_noise: Whether all labels have the same noise.
        settings: Settings of the run.
        diffusion: Diffusion process of the run.
        device: Device of the network.
        images: Returns the images of a batch before noise is added, (B, 1, N, N), from the places
            of its labels and the labels.

    Yields:
        The noise time, and noisy images, time steps and labels.
    """
    batch = settings.evaluation.batch_size
    for start in range(0, len(labels), batch):
        part = torch.tensor(labels[start : start + batch], dtype=torch.float32, device=device)
        places = range(start, start + len(part))
        again = [0] * len(part) if common_noise else places
        noise = [integer(settings.seed, Stream.REPRESENTATIONS, i, 1) for i in again]
        x_0 = images(places, part)
        eps = SampleNoise(noise, settings.data.size, device).draw()
        for time in times:
            t = torch.full((len(part),), time, device=device)
            yield time, (diffusion.add_noise(x_0, t, eps), t, part)


def of_untrained_network(
    settings: RunSettings, layer: Layer, saved: Representations
) -> NDArray[np.float16]:
    """Return what a layer of the network at step 0 makes of clean images, (samples, features).

    It sees the clean images of the labels with the noise of `collect`, so that only its weights
    differ from those of a trained network whose samples are right. What it would sample itself is
    noise.

    Args:
        settings: Settings of the run.
        layer: The layer.
        saved: Representations of the trained network, whose time must be known.
    """
    assert saved.time is not None
    model, diffusion = untrained(settings).eval(), Diffusion(settings.diffusion, "cpu")
    found: list[NDArray[np.float16]] = []

    def clean(_places: range, part: Tensor) -> Tensor:
        return to_model(render(part, settings.data))

    def keep(_layer: str, output: Tensor) -> None:
        found.append(output.flatten(1).to(torch.float16).numpy())

    places = saved.labels, [saved.time], saved.common_noise
    with capture_activations(model, [layer], keep), torch.no_grad():
        for _, inputs in _passes(*places, settings, diffusion, torch.device("cpu"), clean):
            model(*inputs)
    return np.concatenate(found)


def _append(files: dict[str, _File], saved: Mapping[str, str], layer: str, output: Tensor) -> None:
    """Write the activations of a layer for one batch."""
    files[saved[layer]].append(output.flatten(1).to("cpu", torch.float16).numpy())


def read(folder: Path, layer: str = "layer4") -> Representations:
    """Return the representations of a layer.

    Args:
        folder: Representations of one step, as listed by `Record.represented`.
        layer: Layer to read.

    Raises:
        DamagedFile: A file is missing or its checksum does not match.
        ValueError: The layer was not saved.
    """
    index = read_json(folder / "index.json")
    if index is None:
        raise DamagedFile(f"{folder}: index.json is missing")
    digests: dict[str, str] = index["sha256s"]
    if layer not in digests:
        known = ", ".join(name for name in digests if name != "labels")
        raise ValueError(f"{folder}: layer '{layer}' was not saved; available: {known}")
    arrays = {}
    for name in ("labels", layer):
        path = folder / f"{name}.npy"
        try:
            whole = digest(path) == digests[name]
        except FileNotFoundError:
            whole = False
        if not whole:
            raise DamagedFile(f"{path}: its checksum does not match its content")
        arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    nx, ny = index["sides"]
    time = index.get("times", {}).get(layer)
    common = index.get("common_noise", False)
    return Representations(index["step"], arrays["labels"], arrays[layer], (nx, ny), time, common)


class _File:
    """An array that is written row by row and gets its final name once it is complete.

    On exit from its `with` block, the file is closed, and deleted if it is incomplete.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self._rows, self._done = path, rows, 0
        self._temporary = temporary_name(path)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # a failed write has already raised
                self._file.close()
        self._temporary.unlink(missing_ok=True)

    def append(self, rows: NDArray[Any]) -> None:
        """Write the next rows, (R, features)."""
        with naming(self._path):  # no memory map: on a full disk it would kill the process
            if self._file is None:
                self._file = self._temporary.open("wb")
                shape = (self._rows, rows.shape[1])
                kind = {"descr": dtype_to_descr(rows.dtype), "fortran_order": False}
                write_array_header_1_0(self._file, {**kind, "shape": shape})
            self._file.write(np.ascontiguousarray(rows).data)
        self._done += len(rows)

    def finish(self) -> str:
        """Sync the file to disk, rename it to its final name, and return its checksum."""
        assert self._file is not None
        assert self._done == self._rows
        with naming(self._path):
            self._file.close()
            sync(self._temporary)
        written = digest(self._temporary)
        self._temporary.replace(self._path)
        return written
