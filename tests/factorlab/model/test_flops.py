"""Operations of a forward pass against PyTorch's own count."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from factorlab.model.flops import forward_flops
from factorlab.model.unet import UNet
from factorlab.parsing import parse


def counted(model, size):
    with torch.device("meta"):
        network = UNet(model)
        inputs = (torch.empty(1, 1, size, size), torch.empty(1), torch.empty(1, 2))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return counter.get_total_flops()


@pytest.mark.parametrize("width", [4, 8, 64])
@pytest.mark.parametrize("size", [6, 7, 8, 13, 32, 64])
def test_forward_flops_counts_every_product(width, size):
    model = parse({"model": {"width": width, "encoding": 32 if width == 8 else 64}}).model
    assert forward_flops(model, size) == counted(model, size)
