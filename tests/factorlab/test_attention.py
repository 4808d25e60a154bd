"""Attention against its definition in double precision, forward and backward."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import vmap

from factorlab.attention import WIDEST, attend

HEADS = 4


def reference(qkv, heads):
    """Return softmax(q k / sqrt(D)) v, from its definition."""
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


@given(
    batch=st.integers(1, 3),
    pixels=st.integers(1, 70),
    channels=st.sampled_from([1, 2, 3, WIDEST, WIDEST + 1]),
    scale=st.sampled_from([0.0, 0.1, 1.0, 4.0, 10.0]),
    seed=st.integers(0, 2**31),
)
def test_is_its_definition(batch, pixels, channels, scale, seed):
    # A scale of 10 makes logits of hundreds, whose powers would overflow.
    qkv = normal(batch, pixels, 3 * HEADS * channels, scale=scale, seed=seed)
    slopes = normal(batch, pixels, HEADS * channels, seed=seed + 1)
    out, gradient = with_gradient(attend, qkv, slopes)
    right, right_gradient = with_gradient(reference, qkv.double(), slopes.double())
    # A weight is as exact as its exponent, which is rounded where it is largest.
    largest = qkv.abs().max().item()
    exact = 1e-6 * (1 + channels**0.5 * largest**2)
    tolerance = 1e-6 + exact * largest
    np.testing.assert_allclose(out, right, rtol=0, atol=tolerance)
    tolerance = 1e-5 + exact * pixels * max(1, largest) ** 2 * slopes.abs().max().item()
    np.testing.assert_allclose(gradient, right_gradient, rtol=0, atol=tolerance)


@pytest.mark.parametrize("channels", [2, 8])
def test_opposed_keys(channels):
    # Every key is opposite to the queries: the bound of the maximum is as loose as it can be.
    for size in (1.0, 5.0, 9.0, 40.0):
        qkv = torch.zeros(1, 40, 3 * channels)
        qkv[:, :, 0], qkv[:, :, channels] = size, -size
        qkv[:, :, 2 * channels :] = normal(1, 40, channels)
        right = reference(qkv.double(), 1)
        np.testing.assert_allclose(attend(qkv, 1), right, rtol=0, atol=2e-6)


@pytest.mark.parametrize("place", [0, 8, 16])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_shows(place, value):
    qkv = normal(1, 9, 3 * HEADS * 2)
    qkv[0, 3, place] = value
    out, gradient = with_gradient(attend, qkv, torch.ones(1, 9, HEADS * 2))
    right, _ = with_gradient(reference, qkv, torch.ones(1, 9, HEADS * 2))
    lost = right.isfinite().logical_not() & out.isfinite()
    assert not lost.any()
    assert not gradient.isfinite().all()


def test_an_image_does_not_depend_on_its_batch():
    qkv = normal(5, 49, 3 * HEADS * 2)
    assert torch.equal(attend(qkv, HEADS)[2:3], attend(qkv[2:3], HEADS))


@pytest.mark.parametrize("dimension", [0, 1])
def test_batched_over_members(dimension):
    qkv = normal(3, 2, 20, 3 * HEADS * 4).movedim(0, dimension).requires_grad_()
    slopes = normal(3, 2, 20, HEADS * 4)
    out = vmap(lambda x: attend(x, HEADS), in_dims=dimension)(qkv)
    (gradient,) = torch.autograd.grad(out, qkv, slopes)
    for member in range(3):
        alone = with_gradient(attend, qkv.detach().select(dimension, member), slopes[member])
        assert torch.equal(out[member], alone[0])
        assert torch.equal(gradient.select(dimension, member), alone[1])
