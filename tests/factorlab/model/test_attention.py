"""Attention against its definition in float64, forward and backward."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import vmap

from factorlab.model.attention import WIDEST, attend
from tests.helpers.rounding import gamma

HEADS = 4
SMALLEST = 2.0**-125
"""Twice the smallest weight of the kernels, which stands for all smaller ones."""
POWER = 4e-6
"""Bound of the relative error of an exponential.

The kernels' polynomial and its roundings have 3.4e-6. The fastest one of PyTorch has 20 units in
the last place, 2.4e-6.
"""


def reference(qkv, heads):
    """Return softmax(q k / sqrt(D)) v."""
    q, k, v = qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return (logits.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)


def normal(*shape, scale=1.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=g)


def with_gradient(function, qkv, slopes):
    qkv = qkv.clone().requires_grad_()
    out = function(qkv, HEADS)
    (gradient,) = torch.autograd.grad(out, qkv, slopes)
    return out.detach(), gradient


def bounds(qkv, slopes, heads=HEADS):
    """Return bounds of the float32 error of the output and of the gradient, for each element.

    They hold for any order of the terms of a sum. There are L pixels and D channels a head.
    """
    D = slopes.shape[2] // heads
    q, k, v = qkv.double().abs().unflatten(2, (3, heads, D)).permute(2, 0, 3, 1, 4)
    o = slopes.double().abs().unflatten(2, (heads, D)).transpose(1, 2)
    signed_q, signed_k, _ = qkv.double().unflatten(2, (3, heads, D)).permute(2, 0, 3, 1, 4)
    weights = (signed_q @ signed_k.transpose(-1, -2) / math.sqrt(D)).softmax(dim=-1)
    n_sum, n_dot = 2 * q.shape[2] + 6, 2 * D + 4

    # A logit and the maximum subtracted from it are at most |q| |k| / sqrt(D). The absolute error
    # of an exponent is the relative error of its exponential.
    largest = q.norm(dim=-1, keepdim=True) * k.norm(dim=-1).amax(-1)[..., None, None]
    weight = POWER + 2 * gamma(n_dot) * largest / math.sqrt(D)
    out = (2 * weight + gamma(n_sum)) * (weights @ v) + SMALLEST * v.sum(dim=-2, keepdim=True)

    # The gradient of a logit is w_ij (o_i v_j - o_i out_i); the weights are computed again.
    again = 3 * weight + gamma(n_sum)
    size = o @ v.transpose(-1, -2) + (o * (weights @ v)).sum(-1, keepdim=True)
    error = (again + gamma(n_dot)) * size + (o * out).sum(-1, keepdim=True)
    error = (weights * (error + gamma(n_sum) * size) + SMALLEST * size) / math.sqrt(D)
    parts = (error @ k, error.transpose(-1, -2) @ q)
    parts += ((weights * (again + gamma(n_sum)) + SMALLEST).transpose(-1, -2) @ o,)
    gradient = torch.cat([part.transpose(1, 2).flatten(2) for part in parts], dim=2)
    return out.transpose(1, 2).flatten(2), gradient


@given(
    batch=st.integers(1, 3),
    pixels=st.integers(1, 70),
    channels=st.sampled_from([1, 2, 3, WIDEST, WIDEST + 1]),
    scale=st.sampled_from([0.0, 0.1, 1.0, 4.0, 10.0]),
    seed=st.integers(0, 2**31),
)
def test_attend_matches_definition(batch, pixels, channels, scale, seed):
    # A scale of 10 makes logits of hundreds, whose exponentials would overflow.
    qkv = normal(batch, pixels, 3 * HEADS * channels, scale=scale, seed=seed)
    slopes = normal(batch, pixels, HEADS * channels, seed=seed + 1)
    found = with_gradient(attend, qkv, slopes)
    right = with_gradient(reference, qkv.double(), slopes.double())
    for ours, exact, bound in zip(found, right, bounds(qkv, slopes), strict=True):
        assert ((ours - exact).abs() <= bound).all()


@pytest.mark.parametrize("channels", [2, 8])
def test_attend_opposed_keys(channels):
    # Keys opposite to the queries: the bound of the largest logit is as loose as it can be.
    for size in (1.0, 5.0, 9.0, 40.0):
        qkv = torch.zeros(1, 40, 3 * channels)
        qkv[:, :, 0], qkv[:, :, channels] = size, -size
        qkv[:, :, 2 * channels :] = normal(1, 40, channels)
        right = reference(qkv.double(), 1)
        # All logits are equal, and so are all weights: only the mean of the values rounds.
        mean = qkv[:, :, 2 * channels :].double().abs().mean(dim=1, keepdim=True)
        assert ((attend(qkv, 1) - right).abs() <= gamma(2 * 40 + 2) * mean).all()


@pytest.mark.parametrize("place", [0, 8, 16])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_attend_passes_on_non_finite_values(place, value):
    qkv = normal(1, 9, 3 * HEADS * 2)
    qkv[0, 3, place] = value
    out, gradient = with_gradient(attend, qkv, torch.ones(1, 9, HEADS * 2))
    right, _ = with_gradient(reference, qkv, torch.ones(1, 9, HEADS * 2))
    lost = right.isfinite().logical_not() & out.isfinite()
    assert not lost.any()
    assert not gradient.isfinite().all()


def test_attend_independent_of_batch():
    qkv = normal(5, 49, 3 * HEADS * 2)
    assert torch.equal(attend(qkv, HEADS)[2:3], attend(qkv[2:3], HEADS))


@pytest.mark.parametrize("dimension", [0, 1])
def test_attend_vmap_over_members(dimension):
    qkv = normal(3, 2, 20, 3 * HEADS * 4).movedim(0, dimension).requires_grad_()
    slopes = normal(3, 2, 20, HEADS * 4)
    out = vmap(lambda x: attend(x, HEADS), in_dims=dimension)(qkv)
    (gradient,) = torch.autograd.grad(out, qkv, slopes)
    for member in range(3):
        alone = with_gradient(attend, qkv.detach().select(dimension, member), slopes[member])
        assert torch.equal(out[member], alone[0])
        assert torch.equal(gradient.select(dimension, member), alone[1])
