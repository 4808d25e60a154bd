"""The conditional UNet of [W] Fig. 6 and [F] Fig. 7, for square images of any side from 6 up.

The network has three down and three up blocks, each followed by self-attention, and skips between
them. With a width of 64 the channels are those of the papers: stem 64; layer 0 Down(64, 128);
1 Down(128, 256); 2 Down(256, 256); bottleneck 256-512-512-256; 3 Up(512, 128); 4 Up(256, 64);
5 Up(128, 64); 23.3 million parameters.

Shapes: B images, C channels, H x W pixels, L = H W, E encoding length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, get_args

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from factorlab.config import Layer, ModelSettings, RunSettings
from factorlab.model.attention import attend
from factorlab.seeding import Stream, integer

WIDE = 32
"""Smallest width with channels-first memory; narrower networks are channels-last. On a CPU,
channels-first makes a step 10 to 20 % faster from this width up at N = 8 and 16, and as much slower
below it. At N = 32 there is no clear difference."""

LAYERS: tuple[Layer, ...] = get_args(Layer)
"""Layers whose outputs `capture_activations` can read; `layer4` is the papers' representation."""


def sinusoidal(position: Tensor, length: int) -> Tensor:
    """Return the sinusoidal encoding of positions ([W] Fig. 6).

    ``PE(t, 2i) = sin(t / 10000^(2i / length))`` and ``PE(t, 2i + 1) = cos(...)``.

    Args:
        position: (B,), real.
        length: Length of the encoding, an even number.

    Returns:
        (B, length).
    """
    even = torch.arange(0, length, 2, dtype=torch.float32, device=position.device)
    angle = position.float()[:, None] * torch.exp(-math.log(10000.0) * even / length)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images (B, C, h, w) resized bilinearly with aligned corners.

    On a GPU this is done by two matrix products, because the backward pass of PyTorch's own
    interpolation sums in a nondeterministic order.

    Args:
        x: Images, (B, C, h, w).
        size: New height and width in pixels.
    """
    if x.device.type != "cuda":
        return F.interpolate(x, size=size, mode="bilinear", align_corners=True)
    for _ in range(2):  # resize the last axis, then swap the axes
        side, new = x.shape[-1], size[1]
        basis = torch.eye(side, device=x.device)[None]
        matrix = F.interpolate(basis, size=new, mode="linear", align_corners=True)[0]
        x, size = (x @ matrix.to(x.dtype)).transpose(-1, -2), (size[1], size[0])
    return x


def max_pool(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) at half their side, rounded up: the maximum of 2 x 2 pixels.

    On a GPU this does not use PyTorch's max pooling, whose gradient has no deterministic form
    there. Pixels of equal value share the gradient.
    """
    if x.device.type != "cuda":
        return F.max_pool2d(x, 2, ceil_mode=True)
    height, width = x.shape[-2:]
    whole = F.pad(x, (0, width % 2, 0, height % 2), value=-math.inf)
    pooled: Tensor = whole.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).amax(dim=(-3, -1))
    return pooled


class DoubleConv(nn.Module):
    """conv 3x3, group norm, GELU, conv 3x3, group norm; the residual form adds its input."""

    def __init__(self, inputs: int, outputs: int, hidden: int, *, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.body = nn.Sequential(
            nn.Conv2d(inputs, hidden, 3, padding=1, bias=False),
            nn.GroupNorm(1, hidden),
            nn.GELU(),
            nn.Conv2d(hidden, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(1, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, H, W) -> (B, C_out, H, W)
        """Return the convolved features."""
        convolved: Tensor = self.body(x)
        return F.gelu(x + convolved) if self.residual else convolved


class SelfAttention(nn.Module):
    """Pre-norm self-attention over pixels with four heads, then a feed-forward of equal width."""

    HEADS = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, channels),
            nn.GELU(),
            nn.Linear(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        """Return the features after attention between all pixels."""
        tokens = x.flatten(2).transpose(1, 2)  # (B, L, C): a view when x is channels-last
        tokens = tokens + self.out(attend(self.qkv(self.norm(tokens)), self.HEADS))
        tokens = tokens + self.feed_forward(tokens)
        image: Tensor = tokens.transpose(1, 2).unflatten(2, x.shape[2:])
        return image


class Block(nn.Module):
    """Two double convolutions, the condition added to every pixel, and self-attention."""

    def __init__(self, inputs: int, outputs: int, hidden: int, condition: int) -> None:
        super().__init__()
        self.first = DoubleConv(inputs, inputs, inputs, residual=True)
        self.second = DoubleConv(inputs, outputs, hidden)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(condition, outputs))
        self.attention = SelfAttention(outputs)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return (B, C_out, H, W) from x (B, C_in, H, W) and the condition (B, 3 E)."""
        x = self.second(self.first(x))
        attended: Tensor = self.attention(x + self.condition(condition)[:, :, None, None])
        return attended


class Down(Block):
    """Max pooling to half the side, rounded up, followed by a block."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__(inputs, outputs, outputs, condition)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return (B, C_out, ceil(H / 2), ceil(W / 2))."""
        return super().forward(max_pool(x), condition)


class Up(Block):
    """Upsampling to the side of the skip, concatenation with it, and a block."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__(inputs, outputs, inputs // 2, condition)

    def forward(self, x: Tensor, condition: Tensor, skip: Tensor | None = None) -> Tensor:
        """Return (B, C_out, H, W) from x (B, C_x, h, w) and the skip (B, C_in - C_x, H, W)."""
        assert skip is not None
        height, width = skip.shape[-2:]
        return super().forward(torch.cat([skip, upsample(x, (height, width))], dim=1), condition)


class UNet(nn.Module):
    """A network that predicts the noise (or v) from a noisy image, its time step and its label."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        w, condition = settings.width, 3 * settings.encoding
        self.encoding = settings.encoding
        self.stem = DoubleConv(1, w, w)
        self.layer0 = Down(w, 2 * w, condition)
        self.layer1 = Down(2 * w, 4 * w, condition)
        self.layer2 = Down(4 * w, 4 * w, condition)
        self.bottleneck = nn.Sequential(
            DoubleConv(4 * w, 8 * w, 8 * w),
            DoubleConv(8 * w, 8 * w, 8 * w),
            DoubleConv(8 * w, 4 * w, 4 * w),
        )
        self.layer3 = Up(8 * w, 2 * w, condition)
        self.layer4 = Up(4 * w, w, condition)
        self.layer5 = Up(2 * w, w, condition)
        self.head = nn.Conv2d(w, 1, 1)
        if w < WIDE:
            self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """Return the prediction, of the shape of x.

        Args:
            x: Noisy images, (B, 1, N, N).
            t: Time steps, (B,), integers from 0.
            labels: (B, 2), x and y in pixels.
        """
        condition = torch.cat(
            [sinusoidal(p, self.encoding) for p in (t, labels[:, 0], labels[:, 1])], dim=1
        )
        x0 = self.stem(x)
        x1 = self.layer0(x0, condition)
        x2 = self.layer1(x1, condition)
        x3 = self.bottleneck(self.layer2(x2, condition))
        up = self.layer3(x3, condition, x2)
        up = self.layer4(up, condition, x1)
        up = self.layer5(up, condition, x0)
        prediction: Tensor = self.head(up)
        return prediction

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.parameters())


def untrained(settings: RunSettings) -> UNet:
    """Return the network of a run before its first training step, on the CPU."""
    # The constructors draw from the global generator; its state is restored afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer(settings.seed, Stream.WEIGHTS))
        return UNet(settings.model)


@contextmanager
def capture_activations(
    model: nn.Module, layers: Iterable[str], callback: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Pass the outputs of named layers to a callback, at every call of the model.

    The representation of the papers is the output of layer 4 ([W] Fig. 6, [F] Fig. 7).

    Args:
        model: A UNet.
        layers: Members of `LAYERS`.
        callback: Called with the name of a layer and its output, (B, C, H, W), which is detached
            from the autograd graph.
    """

    def hook_of(layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:  # noqa: ANN401
            callback(layer, output.detach())

        return hook

    with ExitStack() as hooks:
        for layer in layers:
            handle = model.get_submodule(layer).register_forward_hook(hook_of(layer))
            hooks.callback(handle.remove)
        yield
