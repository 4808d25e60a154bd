"""Self-attention over pixels, with the fastest implementation for its shape and device.

A network of width 8 has heads of 2 to 8 channels over up to 1024 pixels. Nearly all of its time
goes into exponentials, while general kernels are optimised for wide heads. On a CPU, such heads use
`attention_kernels`, which never store the matrix of weights and process four pixels per pass. All
other heads use PyTorch's fused attention. `make bench-training_step` measures both.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

from factorlab.model import attention_kernels

WIDEST = 8
"""Most channels per head at which the kernels are faster than PyTorch; from 16 on they are not."""


def attend(qkv: Tensor, heads: int) -> Tensor:
    """Return softmax(q k / sqrt(D)) v of every head, (B, L, C).

    Args:
        qkv: (B, L, 3 C), the queries, keys and values, each with its heads side by side.
        heads: Number of heads H; C = H D.
    """
    channels = qkv.shape[2] // (3 * heads)
    narrow = channels <= WIDEST and qkv.dtype == torch.float32
    return (with_kernels if narrow and qkv.device.type == "cpu" else fused)(qkv, heads)


def with_kernels(qkv: Tensor, heads: int) -> Tensor:
    """Return the result of `attend`, computed by the compiled kernels for float32 on a CPU."""
    out: Tensor = _Narrow.apply(qkv, heads)[0]
    return out


def fused(qkv: Tensor, heads: int) -> Tensor:
    """Return the result of `attend`, computed by PyTorch's fused attention."""
    channels = qkv.shape[2] // (3 * heads)
    q, k, v = qkv.unflatten(2, (3, heads, channels)).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class _Narrow(torch.autograd.Function):
    """The compiled kernels as a PyTorch function with a gradient and a batching rule."""

    @staticmethod
    def forward(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Return the output, (B, L, C), and the data for the backward pass, (B, H, L)."""
        B, L, W = qkv.shape
        qkv = qkv.contiguous()
        out, log_totals = qkv.new_empty(B, L, W // 3), qkv.new_empty(B, heads, L)
        channels = (0.0,) * (W // (3 * heads))
        attention_kernels.forward(qkv.detach().numpy(), out.numpy(), log_totals.numpy(), channels)
        return out, log_totals

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:  # noqa: ANN401 - PyTorch's
        """Save the tensors for the backward pass."""
        qkv, _ = inputs
        out, log_totals = output
        ctx.mark_non_differentiable(log_totals)
        ctx.save_for_backward(qkv, out, log_totals)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor, _: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Return the gradient with respect to `qkv`."""
        qkv, out, log_totals = ctx.saved_tensors
        heads = log_totals.shape[1]
        channels = (0.0,) * (out.shape[2] // heads)
        gradient = torch.empty_like(qkv, memory_format=torch.contiguous_format)
        attention_kernels.backward(
            qkv.contiguous().numpy(),
            out.numpy(),
            log_totals.numpy(),
            slopes.contiguous().numpy(),
            gradient.numpy(),
            channels,
        )
        return gradient, None

    @staticmethod
    def vmap(
        _info: object, in_dims: tuple[int, None], qkv: Tensor, heads: int
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        """Attend to several batches at once by joining them into one larger batch."""
        members = qkv.movedim(in_dims[0], 0)
        out, log_totals = _Narrow.apply(members.flatten(0, 1), heads)
        sizes = members.shape[:2]
        return (out.unflatten(0, sizes), log_totals.unflatten(0, sizes)), (0, 0)
