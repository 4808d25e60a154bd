"""The outputs of the network's inner layers, kept in a record at evaluations ([W], [F]: layer 4).

One step's representations are a folder: `labels.npy` (samples, 2), in pixels, `<layer>.npy`
(samples, features) in half precision, and `index.json`, written last, with their checksums.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import torch
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray
from torch import Tensor, nn

from factorlab.config import RunSettings
from factorlab.data import lattice
from factorlab.data.lattice import Labels
from factorlab.model.cuda_graph import with_cuda_graph
from factorlab.model.diffusion import Diffusion, SampleNoise
from factorlab.model.unet import capture_activations
from factorlab.seeding import Stream, integer
from factorlab.storage.files import DamagedFile, digest, naming, read_json, sync, write_json


@dataclass(frozen=True, eq=False)
class Representations:
    """What a layer put out for a grid of labels, as it was kept."""

    step: int
    """Optimizer steps done."""

    labels: Labels
    """(samples, 2), in pixels, x slowest."""

    points: NDArray[np.float16]
    """(samples, features), mapped from disk."""

    sides: tuple[int, int]
    """Labels along x and along y."""


def grid_labels(settings: RunSettings) -> Labels:
    """Return the labels to represent, (side^2, 2), x slowest.

    Evenly spaced around the circle of a periodic image, else from rim to rim of the labels that
    are evaluated (our choice; [F] has 1024 labels on a grid).
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
    """Sample a grid of labels and write what the layers put out, unless it was written before.

    The sample is noised to `representations.time` and meets the network once more: after few large
    denoising steps the last of them would see the noise rather than the image (ours; the papers
    take the last of a thousand steps, which is time 0). Each label's noise is the same at every
    step of training, so that what changes is the model. Outputs go to disk batch by batch.

    Args:
        settings: the run.
        diffusion: its process.
        model: to sample from.
        folder: of all representations of the record.
        step: optimizer steps done.

    Raises:
        OSError: they cannot be written.
    """
    target, wanted = folder / f"step-{step:010d}", settings.representations
    if not wanted.layers or (target / "index.json").exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    labels = grid_labels(settings)
    names = ("labels", *wanted.layers)
    with ExitStack() as opened:
        files = {
            name: opened.enter_context(_File(target / f"{name}.npy", len(labels))) for name in names
        }
        _write(files, labels, settings, diffusion, model)
        digests = {name: file.finish() for name, file in files.items()}
    sync(target)
    sides = [wanted.grid, wanted.grid]
    write_json(target / "index.json", {"step": step, "sides": sides, "sha256s": digests})


def _write(
    files: dict[str, _File],
    labels: Labels,
    settings: RunSettings,
    diffusion: Diffusion,
    model: nn.Module,
) -> None:
    """Sample all labels and write what the layers put out, batch by batch."""
    wanted = settings.representations
    files["labels"].append(labels)
    device, batch = next(model.parameters()).device, settings.evaluation.batch_size

    def callback(layer: str, output: Tensor) -> None:
        files[layer].append(output.flatten(1).to("cpu", torch.float16).numpy())

    denoise = with_cuda_graph(model, device)
    for start in range(0, len(labels), batch):
        part = torch.from_numpy(labels[start : start + batch]).to(device, torch.float32)
        places = range(start, start + len(part))
        sample, again = (
            [integer(settings.seed, Stream.REPRESENTATIONS, i, k) for i in places] for k in (0, 1)
        )
        x_0 = diffusion.sample(denoise, part, sample, settings.data.size)
        t = torch.full((len(part),), wanted.time, device=device)
        x_t = diffusion.add_noise(x_0, t, SampleNoise(again, settings.data.size, device).draw())
        with capture_activations(model, wanted.layers, callback), torch.no_grad():
            model(x_t, t, part)


def read(folder: Path, layer: str = "layer4") -> Representations:
    """Return a layer's representations, as one of the folders of `Record.represented` holds them.

    Raises:
        DamagedFile: a file is not what was written.
        ValueError: the layer was not kept.
    """
    index = read_json(folder / "index.json")
    if index is None:
        raise DamagedFile(f"{folder}: not whole")
    digests: dict[str, str] = index["sha256s"]
    if layer not in digests:
        known = ", ".join(name for name in digests if name != "labels")
        raise ValueError(f"{folder}: layer '{layer}' was not kept; there are {known}")
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
    return Representations(index["step"], arrays["labels"], arrays[layer], (nx, ny))


class _File:
    """An array that is written row by row, and appears under its name when it is whole.

    Leaving its block closes it, and deletes what is not whole.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self._rows, self._done = path, rows, 0
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # what cannot be written has been raised before
                self._file.close()
        self._temporary.unlink(missing_ok=True)

    def append(self, rows: NDArray[Any]) -> None:
        """Write the next rows, (R, features)."""
        with naming(self._path):  # no memory map: on a full disk that kills the process
            if self._file is None:
                self._file = self._temporary.open("wb")
                shape = (self._rows, rows.shape[1])
                kind = {"descr": dtype_to_descr(rows.dtype), "fortran_order": False}
                write_array_header_1_0(self._file, {**kind, "shape": shape})
            self._file.write(np.ascontiguousarray(rows).data)
        self._done += len(rows)

    def finish(self) -> str:
        """Put the file on the disk and in its place; returns its checksum."""
        assert self._file is not None
        assert self._done == self._rows
        with naming(self._path):
            self._file.close()
            sync(self._temporary)
        written = digest(self._temporary)
        self._temporary.replace(self._path)
        return written
