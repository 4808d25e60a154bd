"""The forward process, the training target, and one sampler for DDPM and DDIM.

Symbols are those of Ho et al. 2020 and Song et al. 2021. ``abar[t]`` is the product of ``1 - beta``
up to t, and ``x_t = sqrt(abar[t]) x_0 + sqrt(1 - abar[t]) eps``. t runs from 0 to T - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from factorlab import heartbeat
from factorlab.config import DiffusionSettings

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A function (x_t, t, labels) -> prediction of the noise or of v."""


def cumulative_alphas(settings: DiffusionSettings) -> Tensor:
    """Return ``abar``, shape (T,), float64.

    The linear schedule takes beta from 1e-4 to 0.02 (Ho et al. 2020, section 4), whatever T is. The
    cosine schedule is eq. 17 of Nichol and Dhariwal 2021, with beta clipped at 0.999.
    """
    T = settings.timesteps
    if settings.schedule == "linear":
        beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    else:
        u = torch.arange(T + 1, dtype=torch.float64) / T
        f = torch.cos((u + 0.008) / 1.008 * torch.pi / 2) ** 2
        beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - beta, dim=0)


class SampleNoise:
    """Standard normal noise with a separate seed for every sample.

    The noise of a sample therefore does not depend on the batch size or on the other samples.
    """

    def __init__(self, seeds: Sequence[int], side: int, device: torch.device | str) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._side = side
        self._device = device

    def draw(self) -> Tensor:
        """Return the next noise of every sample, (B, 1, N, N)."""
        noise = torch.empty((len(self._generators), 1, self._side, self._side))
        for sample, generator in zip(noise.unbind(), self._generators, strict=True):
            sample.normal_(generator=generator)
        return noise.to(self._device)


def denoising_loss(prediction: Tensor, target: Tensor, *, stacked: bool = False) -> Tensor:
    """Return the training objective, ``L = E[(eps_theta(x_t, t, c) - eps)^2]`` ([W] eq. 2).

    Training, packed training and the losses of an evaluation all use this function. The mean runs
    over images and pixels. With `prediction: v` the target is v instead of the noise.

    Args:
        prediction: Output of the network, (B, 1, N, N). It is converted to float32 first.
        target: What the network should predict, of the same shape; see `Diffusion.target`.
        stacked: Whether a leading dimension of K networks is present, (K, B, 1, N, N).

    Returns:
        A scalar, or (K,) for stacked networks.
    """
    return (prediction.float() - target).square().flatten(int(stacked)).mean(dim=-1)


class Diffusion:
    """A diffusion process and its prediction target."""

    def __init__(self, settings: DiffusionSettings, device: torch.device | str = "cpu") -> None:
        self.settings = settings
        self.abar = cumulative_alphas(settings).to(device=device, dtype=torch.float32)

    def _coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return sqrt(abar[t]) and sqrt(1 - abar[t]), each (B, 1, 1, 1)."""
        abar = self.abar[t][:, None, None, None]
        return abar.sqrt(), (1 - abar).sqrt()

    def add_noise(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t from x_0 (B, 1, N, N), t (B,) and noise of the shape of x_0."""
        signal, spread = self._coefficients(t)
        return signal * x_0 + spread * noise

    def loss(
        self, model: Denoiser, x_0: Tensor, labels: Tensor, t: Tensor, noise: Tensor
    ) -> Tensor:
        """Return the `denoising_loss` of a network on images, a scalar.

        Args:
            model: Predicts the noise or v.
            x_0: Clean images, (B, 1, N, N).
            labels: (B, 2), x and y in pixels.
            t: Time steps, (B,).
            noise: Noise of the shape of x_0.
        """
        prediction = model(self.add_noise(x_0, t, noise), t, labels)
        return denoising_loss(prediction, self.target(x_0, t, noise))

    def target(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return the prediction target, (B, 1, N, N).

        The target is the noise, or ``v = sqrt(abar) noise - sqrt(1 - abar) x_0`` (Salimans and Ho
        2022, section 4 and appendix D).

        Args:
            x_0: Clean images, (B, 1, N, N).
            t: Time steps, (B,).
            noise: Noise of the shape of x_0.
        """
        if self.settings.prediction == "noise":
            return noise
        signal, spread = self._coefficients(t)
        return signal * noise - spread * x_0

    def _denoised(self, x_t: Tensor, t: Tensor, prediction: Tensor) -> Tensor:
        """Return the x_0 implied by a prediction, clipped to [-1, 1], the range of the images."""
        signal, spread = self._coefficients(t)
        if self.settings.prediction == "v":
            x_0 = signal * x_t - spread * prediction
        else:
            x_0 = (x_t - spread * prediction) / signal
        return x_0.clamp(-1, 1)

    def sampling_times(self) -> list[int]:
        """Return the time steps that sampling visits, from T - 1 down.

        The spacing is "trailing" (Lin et al. 2024, table 2), which always starts from pure noise.
        """
        T, steps = self.settings.timesteps, self.settings.sampling_steps
        times: list[int] = (np.round(T - T * np.arange(steps) / steps).astype(int) - 1).tolist()
        return times

    @torch.no_grad()
    def sample(self, model: Denoiser, labels: Tensor, seeds: Sequence[int], side: int) -> Tensor:
        """Return generated images, (B, 1, N, N), in the range of the model, [-1, 1].

        All samplers follow one rule (Song et al. 2021, eqs. 12 and 16). ``eta`` 0 gives DDIM.
        ``eta`` 1 with all T steps gives DDPM with its smaller variance. The noise direction is
        computed from the clipped x_0, as the posterior mean of DDPM implies.

        Args:
            model: Predicts the noise or v.
            labels: (B, 2), x and y in pixels.
            seeds: B seeds, one per sample.
            side: Side N of the images in pixels.
        """
        noise = SampleNoise(seeds, side, labels.device)
        x = noise.draw()
        times = self.sampling_times()
        one = torch.ones((), device=labels.device)
        for now, after in zip(times, [*times[1:], None], strict=True):
            heartbeat.beat()
            t = torch.full((len(labels),), now, device=labels.device)
            x_0 = self._denoised(x, t, model(x, t, labels).float())
            abar = self.abar[now]
            abar_after = one if after is None else self.abar[after]
            eps = (x - abar.sqrt() * x_0) / (1 - abar).sqrt()
            variance = (1 - abar_after) / (1 - abar) * (1 - abar / abar_after)
            fresh = self.settings.eta * variance.sqrt()
            x = abar_after.sqrt() * x_0 + (1 - abar_after - fresh**2).clamp(min=0).sqrt() * eps
            if self.settings.eta > 0 and after is not None:
                x = x + fresh * noise.draw()
        return x
