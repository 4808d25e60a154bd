"""Images from labels: bumps, sums of stripes and single stripes, vectorized in torch.

Images have shape (B, 1, N, N), values in [0, 1], white = 1; row y, column x.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from factorlab.config import DataSettings

Look = Literal["bump", "sos"]


def look_of(data: DataSettings) -> Look:
    """Return how the 2D examples of a family look; `stripes` is tested on sums of stripes."""
    return "bump" if data.family.startswith("bump") else "sos"


def _inside(labels: Tensor, data: DataSettings) -> Tensor:
    """Return which coordinates lie in the frame, (B, 2); on a periodic image all do."""
    return ((labels >= 1) & (labels <= data.size)) | data.periodic


def profiles(labels: Tensor, data: DataSettings) -> Tensor:
    """Return the two one-dimensional Gaussian profiles of each label.

    ``exp(-(p - mu)^2 / (4 sigma^2))`` at the pixel coordinates p = 1 .. N [W section 2]. A
    coordinate outside the frame draws nothing, so that an image has exactly as many dimensions
    as it has coordinates inside (our reading of [F] Fig. 9).

    Args:
        labels: (B, 2), x and y in pixels.
        data: size, sigma and periodicity.

    Returns:
        (B, 2, N), the profile along x and the one along y.
    """
    pixels = torch.arange(1, data.size + 1, dtype=labels.dtype, device=labels.device)
    sigma = torch.tensor(data.sigmas, dtype=labels.dtype, device=labels.device)
    offset = pixels - labels[..., None]  # (B, 2, N)
    if data.periodic:
        offset = torch.remainder(offset + data.size / 2, data.size) - data.size / 2
    return torch.exp(-(offset**2) / (4 * sigma[:, None] ** 2)) * _inside(labels, data)[..., None]


def render(labels: Tensor, data: DataSettings) -> Tensor:
    """Return the images of labels.

    A bump is ``1 - g_x g_y`` [W section 2], a sum of stripes ``1 - (g_x + g_y) / 2`` ([F]
    Fig. 1; the half is ours and keeps it in [0, 1]). With one coordinate outside the frame there
    is one stripe: ``1 - g / 2`` beside sums of stripes, which is what the sum leaves, and
    ``1 - g`` beside bumps, a bump without its other factor (our choice). With both outside the
    image is blank.

    Args:
        labels: (B, 2), x and y in pixels.
        data: the family, size, sigma and periodicity.

    Returns:
        (B, 1, N, N), values in [0, 1], of the labels' dtype and device.
    """
    g = profiles(labels, data)
    along_x, along_y = g[:, 0, None, :], g[:, 1, :, None]  # (B, 1, N), (B, N, 1)
    if look_of(data) == "sos":
        return (1 - (along_x + along_y) / 2)[:, None]
    two_d = _inside(labels, data).all(dim=1)[:, None, None]
    return (1 - torch.where(two_d, along_x * along_y, along_x + along_y))[:, None]


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
