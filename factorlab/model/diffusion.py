"""The forward process, the training target, and one sampler for DDPM and DDIM.

Symbols as in Ho et al. 2020 and Song et al. 2021: ``abar[t]`` is the product of ``1 - beta`` up
to t, and ``x_t = sqrt(abar[t]) x_0 + sqrt(1 - abar[t]) eps``. t runs from 0 to T - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from factorlab import heartbeat
from factorlab.config import DiffusionSettings

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, t, labels) -> prediction of noise or v."""


def cumulative_alphas(settings: DiffusionSettings) -> Tensor:
    """Return ``abar``, shape (T,), float64.

    Linear: beta from 1e-4 to 0.02 (Ho et al. 2020, section 4), the same for every T. Cosine:
    Nichol and Dhariwal 2021, eq. 17, with beta clipped at 0.999.
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
    """Standard normal noise in which every sample draws from a seed of its own.

    A sample's noise therefore depends neither on the batch size nor on its neighbours.
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

    Training, packed training and the losses of an evaluation all use it. The mean runs over images
    and pixels; with `prediction: v` the target is v in place of the noise.

    Args:
        prediction: of the network, (B, 1, N, N); computed in float32 whatever its precision.
        target: what it is to predict, of the same shape; see `Diffusion.target`.
        stacked: there is a further dimension of networks in front, (K, B, 1, N, N).

    Returns:
        A scalar, or (K,) for stacked networks.
    """
    return (prediction.float() - target).square().flatten(int(stacked)).mean(dim=-1)


class Diffusion:
    """A diffusion process with what the network is to predict."""

    def __init__(self, settings: DiffusionSettings, device: torch.device | str = "cpu") -> None:
        self.settings = settings
        self.abar = cumulative_alphas(settings).to(device=device, dtype=torch.float32)

    def _coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return sqrt(abar[t]) and sqrt(1 - abar[t]), each (B, 1, 1, 1)."""
        abar = self.abar[t][:, None, None, None]
        return abar.sqrt(), (1 - abar).sqrt()

    def add_noise(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t from x_0 (B, 1, N, N), t (B,) and noise of x_0's shape."""
        signal, spread = self._coefficients(t)
        return signal * x_0 + spread * noise

    def loss(
        self, model: Denoiser, x_0: Tensor, labels: Tensor, t: Tensor, noise: Tensor
    ) -> Tensor:
        """Return `denoising_loss` of a network on images, a scalar; arguments as of `target`."""
        prediction = model(self.add_noise(x_0, t, noise), t, labels)
        return denoising_loss(prediction, self.target(x_0, t, noise))

    def target(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return what the network is to predict, (B, 1, N, N).

        The noise, or ``v = sqrt(abar) noise - sqrt(1 - abar) x_0`` (Salimans and Ho 2022,
        section 4 and appendix D).

        Args:
            x_0: clean images, (B, 1, N, N).
            t: time steps, (B,).
            noise: of x_0's shape.
        """
        if self.settings.prediction == "noise":
            return noise
        signal, spread = self._coefficients(t)
        return signal * noise - spread * x_0

    def _denoised(self, x_t: Tensor, t: Tensor, prediction: Tensor) -> Tensor:
        """Return the x_0 that a prediction stands for, clipped to [-1, 1] where images live."""
        signal, spread = self._coefficients(t)
        if self.settings.prediction == "v":
            x_0 = signal * x_t - spread * prediction
        else:
            x_0 = (x_t - spread * prediction) / signal
        return x_0.clamp(-1, 1)

    def sampling_times(self) -> list[int]:
        """Return the time steps that sampling visits, from T - 1 down.

        "Trailing" spacing (Lin et al. 2024, table 2), which always starts from pure noise.
        """
        T, steps = self.settings.timesteps, self.settings.sampling_steps
        times: list[int] = (np.round(T - T * np.arange(steps) / steps).astype(int) - 1).tolist()
        return times

    @torch.no_grad()
    def sample(self, model: Denoiser, labels: Tensor, seeds: Sequence[int], side: int) -> Tensor:
        """Return generated images, (B, 1, N, N), in the model's range [-1, 1].

        One rule for all samplers (Song et al. 2021, eqs. 12 and 16): with ``eta`` 0 it is DDIM,
        with ``eta`` 1 and all T steps it is DDPM with its small variance. The noise direction is
        taken from the clipped x_0, as DDPM's posterior mean implies.

        Args:
            model: predicts noise or v.
            labels: (B, 2), in pixels.
            seeds: B seeds, one a sample.
            side: N.
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
