"""Self-attention over pixels, in the fastest way for its shape and device.

A network of width 8 has heads of 2 to 8 channels over up to 1024 pixels: nearly all of its time
goes into exponentials, where general kernels are made for wide heads. On a CPU such heads go
through `kernels`, which never hold the matrix of weights and take four pixels through each pass;
all others go through PyTorch's fused attention. `make bench-training_step` measures both.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

from factorlab.model import attention_kernels

WIDEST = 8
"""Channels a head up to which the kernels are faster than PyTorch's; from 16 on they are not."""


def attend(qkv: Tensor, heads: int) -> Tensor:
    """Return softmax(q k / sqrt(D)) v of every head, (B, L, C).

    Args:
        qkv: (B, L, 3 C): the queries, the keys, the values, each with its heads side by side.
        heads: H; C is H D.
    """
    channels = qkv.shape[2] // (3 * heads)
    narrow = channels <= WIDEST and qkv.dtype == torch.float32
    return (with_kernels if narrow and qkv.device.type == "cpu" else fused)(qkv, heads)


def with_kernels(qkv: Tensor, heads: int) -> Tensor:
    """Return what `attend` does, of float32 on a CPU, by the compiled kernels."""
    out: Tensor = _Narrow.apply(qkv, heads)[0]
    return out


def fused(qkv: Tensor, heads: int) -> Tensor:
    """Return what `attend` does, by PyTorch's fused attention."""
    channels = qkv.shape[2] // (3 * heads)
    q, k, v = qkv.unflatten(2, (3, heads, channels)).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class _Narrow(torch.autograd.Function):
    """The compiled kernels, as a function that PyTorch differentiates and batches."""

    @staticmethod
    def forward(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Return the output, (B, L, C), and what the backward pass needs of it, (B, H, L)."""
        B, L, W = qkv.shape
        qkv = qkv.contiguous()
        out, log_totals = qkv.new_empty(B, L, W // 3), qkv.new_empty(B, heads, L)
        channels = (0.0,) * (W // (3 * heads))
        attention_kernels.forward(qkv.detach().numpy(), out.numpy(), log_totals.numpy(), channels)
        return out, log_totals

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:  # noqa: ANN401 - PyTorch's
        """Keep what the backward pass needs."""
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
        """Attend in several batches at once, which are one larger batch."""
        members = qkv.movedim(in_dims[0], 0)
        out, log_totals = _Narrow.apply(members.flatten(0, 1), heads)
        sizes = members.shape[:2]
        return (out.unflatten(0, sizes), log_totals.unflatten(0, sizes)), (0, 0)
