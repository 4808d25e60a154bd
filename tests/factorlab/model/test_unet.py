"""The network: shapes, size, parts against plain references, and what a prediction depends on."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from factorlab.config import ModelSettings
from factorlab.model.unet import (
    LAYERS,
    DoubleConv,
    Down,
    SelfAttention,
    UNet,
    Up,
    capture_activations,
    sinusoidal,
)
from tests.helpers.rounding import EXACT, gamma, in_float64


def network(width=4, encoding=8, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(ModelSettings(width=width, encoding=encoding)).eval()


def inputs(batch=3, size=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 1, size, size, generator=g)
    t = torch.randint(1000, (batch,), generator=g)
    return x, t, torch.rand(batch, 2, generator=g) * size


def randomized(module, seed=0):
    """Return the module with random parameters, none of them zero or one."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * 0.5)
    return module.eval()


# --- shapes and size --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("size", range(6, 21))
@torch.no_grad()
def test_unet_any_side_keeps_shape(width, size):
    model = network(width)
    outputs = []
    with capture_activations(model, ["layer4"], lambda _, output: outputs.append(output)):
        prediction = model(*inputs(2, size))
    assert prediction.shape == (2, 1, size, size)
    assert torch.isfinite(prediction).all()
    half = math.ceil(size / 2)
    assert [tuple(output.shape) for output in outputs] == [(2, width, half, half)]


@torch.no_grad()
def test_unet_layers_have_published_channels_and_sides():
    model, w = network(8), 8
    sides = {"layer0": 10, "layer1": 5, "layer2": 3, "bottleneck": 3}
    sides |= {"layer3": 5, "layer4": 10, "layer5": 20}
    # [W] Fig. 6 at width 64: 128, 256, 256; 256; 128, 64, 64.
    channels = dict(zip(LAYERS, [2 * w, 4 * w, 4 * w, 4 * w, 2 * w, w, w], strict=True))
    shapes = {}
    with capture_activations(
        model, LAYERS, lambda layer, output: shapes.update({layer: output.shape})
    ):
        model(*inputs(1, 20))
    assert shapes == {n: (1, channels[n], sides[n], sides[n]) for n in LAYERS}


def double_conv_parameters(inputs, outputs, hidden):
    return 9 * hidden * (inputs + outputs) + 2 * (hidden + outputs)


def block_parameters(inputs, outputs, hidden, condition):
    convolutions = double_conv_parameters(inputs, inputs, inputs)
    convolutions += double_conv_parameters(inputs, outputs, hidden)
    attention = (3 + 1 + 2) * outputs**2 + (4 + 4 + 2) * outputs  # two norms, four linear layers
    return convolutions + (condition + 1) * outputs + attention


def test_unet_parameter_count_at_published_width():
    w, condition = 64, 3 * 64
    double, block = double_conv_parameters, block_parameters
    expected = double(1, w, w)
    for inputs, outputs in ((w, 2 * w), (2 * w, 4 * w), (4 * w, 4 * w)):
        expected += block(inputs, outputs, outputs, condition)
    expected += (
        double(4 * w, 8 * w, 8 * w) + double(8 * w, 8 * w, 8 * w) + double(8 * w, 4 * w, 4 * w)
    )
    for inputs, outputs in ((8 * w, 2 * w), (4 * w, w), (2 * w, w)):
        expected += block(inputs, outputs, inputs // 2, condition)
    expected += w + 1
    with torch.device("meta"):
        model = UNet(ModelSettings(width=w))
    assert model.parameter_count == expected == 23_274_113
    assert model.parameter_count == sum(math.prod(p.shape) for p in model.parameters())


def test_unet_parameter_count_quadratic_in_width():
    def count(width):
        with torch.device("meta"):
            return UNet(ModelSettings(width=width)).parameter_count

    counts = [count(width) for width in (64, 128, 192, 256)]
    second, third = np.diff(counts, n=2), np.diff(counts, n=3)
    assert (second > 0).all()
    assert third == 0  # of a polynomial of degree two
    # The linear and the constant terms leave the ratio for twice the width 0.5 % below 4.
    assert counts[1] / counts[0] == pytest.approx(4, rel=0.005)


# --- captured activations ---------------------------------------------------------------------


@torch.no_grad()
def test_capture_activations_every_call_while_open():
    model, outputs = network(), []
    batch = inputs()
    with capture_activations(model, ["layer4"], lambda _, output: outputs.append(output)):
        model(*batch)
        model(*inputs(seed=1))
    model(*batch)
    assert len(outputs) == 2
    assert not torch.equal(outputs[0], outputs[1])


@torch.no_grad()
def test_capture_activations_closed_by_exception():
    model, outputs = network(), []
    batch = inputs()

    def interrupted():
        with capture_activations(model, LAYERS, lambda _, output: outputs.append(model.training)):
            outputs.append(model(*batch))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    captured = len(outputs)
    assert captured == len(LAYERS) + 1
    assert torch.equal(model(*batch), outputs[-1])
    assert len(outputs) == captured


# --- conditioning -----------------------------------------------------------------------------


@given(
    st.lists(st.floats(-20, 1000, width=32), min_size=1, max_size=5),
    st.integers(1, 40).map(lambda half: 2 * half),
)
def test_sinusoidal_matches_formula(positions, length):
    encoded = sinusoidal(torch.tensor(positions), length)
    for row, t in zip(encoded, positions, strict=True):
        expected, bound = [], []
        for i in range(length // 2):
            power = math.log(10000) * 2 * i / length
            angle = t * math.exp(-power)
            expected += [math.sin(angle), math.cos(angle)]
            # Roundings: three of the power, two of exp, one of the product, two of a sine.
            bound += 2 * [gamma(3 * power + 3) * abs(angle) + gamma(2)]
        assert (np.abs(row.double().numpy() - expected) <= bound).all()


def test_sinusoidal_of_integers_equals_floats():
    t = torch.tensor([0, 1, 999])
    assert torch.equal(sinusoidal(t, 16), sinusoidal(t.float(), 16))


@in_float64()
@torch.no_grad()
def test_unet_prediction_depends_on_time_x_and_y():
    model = network()
    x, t, labels = inputs(1)
    base = model(x, t, labels)
    changed = [
        model(x, t + 100, labels),
        model(x, t, labels + torch.tensor([1.0, 0.0])),
        model(x, t, labels + torch.tensor([0.0, 1.0])),
    ]
    everything = [base, *changed]
    for i in range(4):
        for j in range(i):
            assert (everything[i] - everything[j]).abs().max() > 1e-4  # rounding: below EXACT


@in_float64()
@torch.no_grad()
def test_unet_each_block_is_conditioned():
    """Setting the condition of any block to zero changes the prediction."""
    batch = inputs(1, 16)
    for layer in ("layer0", "layer1", "layer2", "layer3", "layer4", "layer5"):
        model = network()
        before = model(*batch)
        for p in model.get_submodule(layer).condition.parameters():
            p.zero_()
        assert (model(*batch) - before).abs().max() > 1e-5  # rounding: below EXACT


@in_float64()
@torch.no_grad()
def test_unet_prediction_independent_of_batch_and_memory_format():
    model = network(8)
    x, t, labels = inputs(5, 9)
    together = model(x, t, labels)
    alone = torch.cat([model(x[k : k + 1], t[k : k + 1], labels[k : k + 1]) for k in range(5)])
    torch.testing.assert_close(alone, together, atol=EXACT, rtol=EXACT)
    last = x.expand(-1, 1, -1, -1).to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(last, t, labels), together, atol=EXACT, rtol=EXACT)


def test_unet_uses_every_weight():
    model = network(4)
    model(*inputs(2, 16)).square().mean().backward()
    unused = [
        name
        for name, p in model.named_parameters()
        if p.grad is None or (p.ndim > 1 and not p.grad.any())
    ]
    assert unused == []


# --- parts against plain references -----------------------------------------------------------


def conv_3x3(x, weight):
    """Convolve (C, H, W) with (D, C, 3, 3) in loops, zeros outside."""
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.empty((len(weight), height, width))
    for d in range(len(weight)):
        for i in range(height):
            for j in range(width):
                out[d, i, j] = (padded[:, i : i + 3, j : j + 3] * weight[d]).sum()
    return out


def group_norm(x, scale, shift):
    """Normalize (C, H, W) over everything, then scale and shift each channel."""
    normal = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    return normal * scale[:, None, None] + shift[:, None, None]


gelu = np.vectorize(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2)


@pytest.mark.parametrize("residual", [False, True])
@in_float64()
@torch.no_grad()
def test_double_conv_matches_reference(residual):
    outputs = 2 if residual else 5
    block = randomized(DoubleConv(2, outputs, 3, residual=residual))
    x = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(1))
    weights = [p.double().numpy() for p in block.parameters()]
    first, scale_1, shift_1, second, scale_2, shift_2 = weights
    for image, ours in zip(x.double().numpy(), block(x), strict=True):
        hidden = gelu(group_norm(conv_3x3(image, first), scale_1, shift_1))
        out = group_norm(conv_3x3(hidden, second), scale_2, shift_2)
        expected = gelu(image + out) if residual else out
        np.testing.assert_allclose(ours, expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(("channels", "side"), [(4, 3), (8, 4), (16, 1)])
@in_float64()
@torch.no_grad()
def test_self_attention_matches_torch(channels, side):
    ours = randomized(SelfAttention(channels))
    reference = nn.MultiheadAttention(channels, num_heads=4, batch_first=True).eval()
    reference.in_proj_weight.copy_(ours.qkv.weight)
    reference.in_proj_bias.copy_(ours.qkv.bias)
    reference.out_proj.weight.copy_(ours.out.weight)
    reference.out_proj.bias.copy_(ours.out.bias)

    x = torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(2))
    tokens = x.permute(0, 2, 3, 1).reshape(2, side * side, channels)
    normal = ours.norm(tokens)
    tokens = tokens + reference(normal, normal, normal, need_weights=False)[0]
    tokens = tokens + ours.feed_forward(tokens)
    expected = tokens.reshape(2, side, side, channels).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours(x), expected, atol=EXACT, rtol=EXACT)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ours(last), expected, atol=EXACT, rtol=EXACT)


@given(st.permutations(range(9)))
@settings(max_examples=20)
@in_float64()
@torch.no_grad()
def test_self_attention_equivariant_under_permuted_pixels(order):
    attention = randomized(SelfAttention(8))
    x = torch.randn(1, 8, 3, 3, generator=torch.Generator().manual_seed(3))
    moved = x.flatten(2)[:, :, order].view(1, 8, 3, 3)
    expected = attention(x).flatten(2)[:, :, order].view(1, 8, 3, 3)
    torch.testing.assert_close(attention(moved), expected, atol=EXACT, rtol=EXACT)


@in_float64()
@torch.no_grad()
def test_down_and_up_blocks_match_reference():
    """Pool, two double convolutions, the condition at every pixel, attention; up mirrors it."""
    g = torch.Generator().manual_seed(4)
    condition = torch.randn(2, 6, generator=g)
    x = torch.randn(2, 4, 5, 5, generator=g)

    down = randomized(Down(4, 8, 6))
    pooled = torch.full((2, 4, 3, 3), -torch.inf)
    for i in range(5):
        for j in range(5):
            pooled[:, :, i // 2, j // 2] = torch.maximum(pooled[:, :, i // 2, j // 2], x[..., i, j])
    silu = condition * torch.sigmoid(condition)
    added = silu @ down.condition[1].weight.T + down.condition[1].bias
    expected = down.attention(down.second(down.first(pooled)) + added[:, :, None, None])
    torch.testing.assert_close(down(x, condition), expected, atol=EXACT, rtol=EXACT)

    up = randomized(Up(12, 4, 6))
    skip = torch.randn(2, 8, 9, 9, generator=g)
    # Bilinear with corners aligned from 5 to 9 pixels: every second one is the mean of two.
    wide = torch.empty(2, 4, 9, 9)
    wide[..., ::2, ::2] = x
    wide[..., ::2, 1::2] = (x[..., :-1] + x[..., 1:]) / 2
    wide[..., 1::2, :] = (wide[..., :-1:2, :] + wide[..., 2::2, :]) / 2
    added = silu @ up.condition[1].weight.T + up.condition[1].bias
    features = up.second(up.first(torch.cat([skip, wide], dim=1)))
    expected = up.attention(features + added[:, :, None, None])
    torch.testing.assert_close(up(x, condition, skip), expected, atol=EXACT, rtol=EXACT)
