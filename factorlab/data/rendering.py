"""Images from labels: bumps, sums of stripes and single stripes, vectorized in torch.

Images have shape (B, 1, N, N), values in [0, 1], white = 1; row y, column x.
"""

from __future__ import annotations

import torch
from torch import Tensor

from factorlab import families
from factorlab.config import DataSettings


def _inside(labels: Tensor, data: DataSettings) -> Tensor:
    """Return which coordinates lie in the frame, (B, 2); on a periodic image all do."""
    return ((labels >= 1) & (labels <= data.size)) | data.periodic


def _distances(labels: Tensor, data: DataSettings) -> Tensor:
    """Return squared distances of the pixels from each label, (B, 2, N), in units of 4 sigma^2."""
    pixels = torch.arange(1, data.size + 1, dtype=labels.dtype, device=labels.device)
    sigma = torch.stack([labels.new_full((), value) for value in data.sigmas])
    offset = pixels - labels[..., None]  # (B, 2, N)
    if data.periodic:
        offset = torch.remainder(offset + data.size / 2, data.size) - data.size / 2
    return offset**2 / (4 * sigma[:, None] ** 2)


def render(labels: Tensor, data: DataSettings) -> Tensor:
    """Return the images of labels.

    With both coordinates in the frame an image shows what its family looks like. With one of them
    it shows one stripe, ``1 - c g`` with the Gaussian profile ``g = exp(-(p - mu)^2 /
    (4 sigma^2))`` at the pixel coordinates p = 1 .. N [W section 2] and c of the label; with none
    it is blank: an image has as many dimensions as coordinates inside (our reading of [F] Fig. 9).

    Args:
        labels: (B, 2), x and y in pixels.
        data: the family, size, sigma and periodicity.

    Returns:
        (B, 1, N, N), values in [0, 1], of the labels' dtype and device.
    """
    family, inside = families.of(data.family), _inside(labels, data)
    distances = _distances(labels, data)
    along_x, along_y = distances[:, 0, None, :], distances[:, 1, :, None]  # (B, 1, N), (B, N, 1)
    both = family.intensity(along_x, along_y)
    in_x, in_y = inside[:, 0, None, None], inside[:, 1, None, None]
    stripe = family.STRIPE * ((-along_x).exp() * in_x + (-along_y).exp() * in_y)
    return (1 - torch.where(in_x & in_y, both, stripe))[:, None]


def to_model(images: Tensor) -> Tensor:
    """Return images v in [0, 1] as the model sees them, 2 v - 1 (our choice)."""
    return 2 * images - 1


def to_8_bit(model_images: Tensor) -> Tensor:
    """Return what the model generated as 8-bit images, (B, N, N), uint8, on the CPU.

    Clipped, and cut to whole grey values rather than rounded, as a plain conversion does; Otsu's
    threshold, and with it the label reader's ceiling, depends on that (on clean bumps of
    sigma = 1 at N = 8, 91 % of all labels are read against 88 % with rounding).
    """
    grey = ((model_images[:, 0].float() + 1) * 127.5).clamp(0, 255)
    return grey.to(torch.uint8).cpu()
