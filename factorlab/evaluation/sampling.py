"""Images from the final weights of a finished run, for any labels."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import load as load_safetensors
from torch import nn

from factorlab import families
from factorlab.config import DataSettings, RunSettings
from factorlab.data.lattice import Labels
from factorlab.errors import UserError
from factorlab.model.cuda_graph import with_cuda_graph
from factorlab.model.diffusion import Diffusion
from factorlab.model.unet import UNet
from factorlab.seeding import Stream, integer
from factorlab.storage.files import DamagedFile
from factorlab.storage.record import Record


def load_model(record: Record, settings: RunSettings, device: torch.device) -> nn.Module:
    """Return the network of a finished run, with its final weights and ready to evaluate.

    Args:
        record: Record of the run.
        settings: Settings of the run.
        device: Device to put the network on.

    Raises:
        UserError: The run is not finished, or its record has no weights.
        DamagedFile: The weights are not those of the result.
    """
    result = record.result()
    if result is None:
        raise UserError(
            f"{record.path}: this run has no result yet; images need a finished run, and its "
            f"state is '{record.state()}'"
        )
    try:
        content = record.weights.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{record.weights}: the weights are missing, as in records from an archive; allowed: "
            "the runs folder in which the run was trained"
        ) from None
    if hashlib.sha256(content).hexdigest() != result["weights_sha256"]:
        raise DamagedFile(f"{record.weights}: its checksum does not match the one in result.json")
    return network_of(settings, content, device)


def network_of(settings: RunSettings, weights: bytes, device: torch.device) -> nn.Module:
    """Return a network with weights, ready to evaluate.

    Args:
        settings: Settings of the run.
        weights: Content of a safetensors file.
        device: Device to put the network on.
    """
    with torch.random.fork_rng(devices=[]):  # the constructor draws from the global generator
        model = UNet(settings.model).to(device)
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)  # as in training
    model.load_state_dict(load_safetensors(weights))
    return model.eval()


def check_labels(labels: ArrayLike, data: DataSettings) -> Labels:
    """Return labels as an array, (n, 2), after checking that the family has an image for each.

    Raises:
        UserError: The shape is not (n, 2), or a label is outside of what is allowed.
    """
    try:
        found = np.array(labels, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError("labels: not numbers; allowed: an array of shape (n, 2)") from None
    if found.shape == (2,):
        found = found[None]
    if found.ndim != 2 or found.shape[1] != 2 or not len(found):
        raise UserError(
            f"labels: an array of shape {found.shape}; allowed: (n, 2), x and y in pixels"
        )
    inside = (found >= 1) & (found <= data.size)
    allowed, rule = inside.all(axis=1), f"x and y from 1 to {data.size} pixels"
    if data.periodic:
        allowed = ((found >= 1) & (found < data.size + 1)).all(axis=1)
        rule = f"x and y from 1 up to but without {data.size + 1} pixels"
    elif families.has_stripes(data.family):
        low, high = 1 - data.canvas_margin, data.size + data.canvas_margin
        canvas = ((found >= low) & (found <= high)).all(axis=1)
        allowed = canvas & inside.any(axis=1)
        rule += f", or for a stripe one of them there and the other from {low:g} to {high:g}"
    if not allowed.all():
        x, y = found[~allowed][0].tolist()
        raise UserError(f"labels: ({x:g}, {y:g}) is outside; allowed: {rule}")
    return found


def generate(
    model: nn.Module, settings: RunSettings, labels: Labels, *, seed: int, device: torch.device
) -> NDArray[np.float32]:
    """Return one image for each label, (n, N, N), values in [0, 1] with white = 1.

    Args:
        model: Network of the run.
        settings: Settings of the run; they state the sampler and the number of its steps.
        labels: x and y in pixels, (n, 2).
        seed: Seed of the noise. The noise of an image depends on it and on the image's place in
            `labels` alone.
        device: Device of the network.
    """
    diffusion, denoise = Diffusion(settings.diffusion, device), with_cuda_graph(model, device)
    wanted = torch.from_numpy(labels).to(device, torch.float32)
    seeds = [integer(seed, Stream.SAMPLES, place) for place in range(len(labels))]
    size, batch = settings.data.size, settings.evaluation.batch_size
    images = [
        diffusion.sample(denoise, wanted[i : i + batch], seeds[i : i + batch], size)[:, 0].cpu()
        for i in range(0, len(labels), batch)
    ]
    # From the range of the model, [-1, 1]; the last step of the sampler clips to it.
    found: NDArray[np.float32] = ((torch.cat(images) + 1) / 2).clamp(0, 1).numpy()
    return found
