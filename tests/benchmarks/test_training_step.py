"""The eager network to which a training step is compared is the same function."""

import pytest
import torch

from factorlab.model.unet import UNet
from factorlab.parsing import parse
from tests.benchmarks.training_step import eager_unet
from tests.helpers.rounding import EXACT, in_float64

EAGER_NAMES = {
    "attention.qkv.weight": "attention.attention.in_proj_weight",
    "attention.qkv.bias": "attention.attention.in_proj_bias",
    "attention.out.": "attention.attention.out_proj.",
}


def eager_name(name):
    for ours, eager in EAGER_NAMES.items():
        name = name.replace(ours, eager)
    return name


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize(("size", "width"), [(8, 8), (13, 16)])
@in_float64()
def test_eager_unet_is_the_same_network(size, width, weights):
    torch.manual_seed(0)
    settings = parse({"model": {"width": width}}).model
    ours, eager = UNet(settings), eager_unet(settings, weights=weights)
    assert eager.parameter_count == ours.parameter_count
    eager.load_state_dict({eager_name(name): w for name, w in ours.state_dict().items()})
    assert all(weight.is_contiguous() for weight in eager.parameters())
    inputs = (torch.randn(3, 1, size, size), torch.tensor([0, 500, 999]), torch.rand(3, 2) * size)
    slopes = torch.randn(3, 1, size, size)
    outputs = {}
    for name, model in (("ours", ours), ("eager", eager)):
        outputs[name] = model(*inputs)
        outputs[name].backward(slopes)
    torch.testing.assert_close(outputs["eager"], outputs["ours"], rtol=EXACT, atol=EXACT)
    gradients = dict(eager.named_parameters())
    for name, weight in ours.named_parameters():
        reference = gradients[eager_name(name)].grad
        difference = (weight.grad - reference).norm()
        assert difference <= EXACT * (1 + reference.norm()), name
