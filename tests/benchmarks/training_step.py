"""A training step: ours beside the same network in the widely used eager form, on one thread.

Ours is a step of `PackedTraining`, batch and schedule included. The eager form is what tutorials
of diffusion models share (such as dome272/Diffusion-Models-pytorch): double convolutions with
GroupNorm and GELU in contiguous memory, `nn.MultiheadAttention` called as `attention(x, x, x)`,
which also returns the weights that nobody reads, `AdamW(model.parameters())`, images rendered once
and picked by index. `lean` is the same without those weights, by which PyTorch may take its fused
attention. All compute the same function of the same number of weights: `test_training_step.py`.

All take their steps in turn; the fastest counts, in seconds of the processor. Operations are those
of the matrix products and convolutions of three forward passes; their share is of what a float32
product of 2048 x 2048 reaches in the same run. A second table holds the attention kernels against
PyTorch's fused ones.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from factorlab.config import ModelSettings, RunSettings
from factorlab.data.dataset import build
from factorlab.data.rendering import render, to_model
from factorlab.model.attention import WIDEST, fused, with_kernels
from factorlab.model.diffusion import Diffusion
from factorlab.model.unet import Block, SelfAttention, UNet
from factorlab.parsing import parse
from factorlab.training.packed import PackedTraining
from factorlab.training.step import TrainingState, TrainingStep
from sweeps.planning.cost.pack_limits import step_flops
from tests.benchmarks.report import HISTORY, Measurement, publish

CPU = torch.device("cpu")
SIZES = (8, 16, 32)
WIDTHS = (8, 16, 64)
HEADS = SelfAttention.HEADS
ATTENTION_BATCH = 16
ATTENTION = ((64, 2), (256, 2), (1024, 2), (256, 4), (1024, 4), (64, 8), (256, 8), (256, 16))
"""Pixels and channels a head: of width 8 at N = 8, 16, 32, of width 16, and what lies beyond."""


def settings_of(
    size: int, width: int, batch: int = 64, seed: int = 0, steps: int = 1_000_000
) -> RunSettings:
    """Return a run of the laptop's kind, long enough to never end."""
    return parse(
        {
            "seed": seed,
            "data": {"size": size, "subsample": 0.1, "spacing": 0.5},
            "model": {"width": width},
            "diffusion": {"prediction": "v"},
            "training": {"steps": steps, "batch_size": batch},
        }
    )


def ensemble(settings: RunSettings, members: int = 1, device: torch.device = CPU) -> PackedTraining:
    """Return networks that train together, which differ in their seed."""
    dataset, diffusion = build(settings.data, settings.seed), Diffusion(settings.diffusion, device)
    seeds = range(settings.seed, settings.seed + members)
    runs = [settings.model_copy(update={"seed": seed}) for seed in seeds]
    return PackedTraining(
        [TrainingStep(TrainingState(run, device), run, dataset, diffusion, device) for run in runs]
    )


def interleaved(
    steps: Sequence[Callable[[], object]], seconds: float, rounds: int = 1
) -> list[list[float]]:
    """Return the seconds of the processor that each step took, all in turn for so long.

    They count what the process computes, not what it waits for others on the same cores.

    The first round warms up, and counts only where it took all the time.

    Args:
        steps: what to time.
        seconds: after which no round begins.
        rounds: fewest rounds.
    """
    taken: list[list[float]] = [[] for _ in steps]
    end = time.process_time() + seconds
    while len(taken[0]) < rounds or time.process_time() < end:
        for step, times in zip(steps, taken, strict=True):
            begin = time.process_time()
            step()
            times.append(time.process_time() - begin)
    return [times[1:] or times for times in taken]


class EagerAttention(SelfAttention):
    """The network's self-attention as the tutorials write it."""

    def __init__(self, channels: int, *, weights: bool = True) -> None:
        super().__init__(channels)
        del self.qkv, self.out
        self.weights = weights
        self.attention = nn.MultiheadAttention(channels, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        tokens = x.flatten(2).transpose(1, 2)
        normed = self.norm(tokens)
        attended, _ = self.attention(normed, normed, normed, need_weights=self.weights)
        tokens = tokens + attended
        tokens = tokens + self.feed_forward(tokens)
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])


def eager_unet(settings: ModelSettings, *, weights: bool = True) -> UNet:
    """Return the network in the eager form.

    Args:
        settings: of the network.
        weights: whether attention returns its weights, as it does unless told not to.
    """
    model = UNet(settings)
    for block in [module for module in model.modules() if isinstance(module, Block)]:
        channels = block.attention.out.out_features
        block.attention = EagerAttention(channels, weights=weights)
    return model.to(memory_format=torch.contiguous_format)


class Eager:
    """A run that trains in the eager form."""

    def __init__(self, settings: RunSettings, *, weights: bool, device: torch.device = CPU) -> None:
        self.settings, self.diffusion = settings, Diffusion(settings.diffusion, device)
        labels = torch.from_numpy(build(settings.data, settings.seed).labels)
        self.labels = labels.to(device, torch.float32)
        self.images = to_model(render(self.labels, settings.data))
        self.model = eager_unet(settings.model, weights=weights).to(device)
        rate = settings.training.learning_rate
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate)

    def step(self) -> None:
        """Train by a step."""
        shape, device = (self.settings.training.batch_size,), self.images.device
        chosen = torch.randint(len(self.images), shape, device=device)
        x_0, labels = self.images[chosen], self.labels[chosen]
        t = torch.randint(self.settings.diffusion.timesteps, shape, device=device)
        loss = self.diffusion.loss(self.model, x_0, labels, t, torch.randn_like(x_0))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def peak() -> float:
    """Return the operations a second of a large matrix product."""
    a, b = torch.randn(2, 2048, 2048)
    (times,) = interleaved([lambda: a @ b], 1.5)
    return 2 * 2048**3 / min(times)


def measure_steps(sizes: Sequence[int], widths: Sequence[int], seconds: float, file: Path) -> None:
    """Publish the steps of every shape."""
    reached = peak()
    found = []
    for size in sizes:
        for width in widths:
            run = settings_of(size, width)
            kinds = [Eager(run, weights=True), Eager(run, weights=False)]
            steps = [ensemble(run).step, *(kind.step for kind in kinds)]
            ours, eager, lean = (min(times) for times in interleaved(steps, seconds))
            case, operations = f"N = {size}, width {width}", step_flops(run)
            found += [
                Measurement(case, "ours", ours * 1e3, "ms", "lower"),
                Measurement(case, "eager", eager * 1e3, "ms"),
                Measurement(case, "lean", lean * 1e3, "ms"),
                Measurement(case, "eager / ours", eager / ours, "", "higher"),
                Measurement(case, "lean / ours", lean / ours, "", "higher"),
                Measurement(case, "a step", operations / 1e9, "GFLOP"),
                Measurement(case, "ours, of the peak", operations / ours / reached, "", "higher"),
                Measurement(case, "eager, of the peak", operations / eager / reached),
            ]
    title = f"A step of 64 images on one thread; a matrix product has {reached / 1e9:.0f} GFLOP/s"
    publish("training_step", title, found, file)


def passes(attend: Callable[[Tensor, int], Tensor], qkv: Tensor) -> list[Callable[[], object]]:
    """Return a forward pass, and a backward pass of the last forward pass."""
    outputs: list[Tensor] = []

    def forward() -> None:
        outputs[:] = [attend(qkv, HEADS)]

    def backward() -> None:
        torch.autograd.grad(outputs[0], qkv, torch.ones_like(outputs[0]))

    return [forward, backward]


def measure_attention(seconds: float, file: Path) -> None:
    """Publish the attention kernels beside PyTorch's."""
    found = []
    for L, D in ATTENTION:
        qkv = torch.randn(ATTENTION_BATCH, L, 3 * HEADS * D, requires_grad=True)
        steps = passes(with_kernels, qkv) + passes(fused, qkv)
        forward, backward, forward_fused, backward_fused = (
            min(times) for times in interleaved(steps, seconds, 2)
        )
        both = (forward_fused + backward_fused) / (forward + backward)
        case = f"L = {L}, D = {D}" + (" (not used)" if D > WIDEST else "")
        found += [
            Measurement(case, "forward", forward * 1e3, "ms", "lower"),
            Measurement(case, "fused forward", forward_fused * 1e3, "ms"),
            Measurement(case, "forward ratio", forward_fused / forward),
            Measurement(case, "backward", backward * 1e3, "ms", "lower"),
            Measurement(case, "fused backward", backward_fused * 1e3, "ms"),
            Measurement(case, "backward ratio", backward_fused / backward),
            Measurement(case, "ratio of both", both, "", "higher"),
        ]
    title = f"Attention of {ATTENTION_BATCH} images, {HEADS} heads: kernels beside PyTorch's fused"
    publish("attention", title, found, file)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="to see that it runs, 20 seconds")
    parser.add_argument("--attention", action="store_true", help="the kernels of attention alone")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ensemble(settings_of(6, 8, 1)).step()  # compiles the kernels
    if not options.attention:
        sizes, widths = ((8,), (8, 16)) if options.quick else (SIZES, WIDTHS)
        measure_steps(sizes, widths, 2.0 if options.quick else 6.0, options.history)
    measure_attention(0.2 if options.quick else 1.5, options.history)


if __name__ == "__main__":
    main()
