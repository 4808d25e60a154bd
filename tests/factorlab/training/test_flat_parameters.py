"""All weights as one vector: each in its place, in the memory order of the network."""

import pytest
import torch

from factorlab.model.unet import WIDE, UNet
from factorlab.parsing import parse
from factorlab.training.flat_parameters import FlatParameters


def network(width):
    return UNet(parse({"model": {"width": width, "encoding": 8}}).model)


@pytest.mark.parametrize("width", [4, WIDE])
def test_flat_parameters_views_and_join_are_inverse(width):
    model = network(width)
    layout, weights = FlatParameters(model), [*model.parameters()]
    vector = layout.join(weights).detach()
    assert len(vector) == model.parameter_count
    for view, weight in zip(layout.views(vector).values(), weights, strict=True):
        assert torch.equal(view, weight)
        strides = zip(view.shape, view.stride(), weight.stride(), strict=True)
        assert all(a == b for n, a, b in strides if n > 1)  # a copy in another order is slow
    layout.attach(model, vector)
    vector.mul_(2)
    assert torch.equal(layout.join([*model.parameters()]), vector)


def test_flat_parameters_stack_networks():
    models = [network(4) for _ in range(3)]
    layout = FlatParameters(models[0])
    matrix = torch.stack([layout.join([*model.parameters()]).detach() for model in models])
    views = layout.views(matrix)
    for k, model in enumerate(models):
        for view, weight in zip(views.values(), model.parameters(), strict=True):
            assert torch.equal(view[k], weight)
    assert torch.equal(layout.join([*views.values()]), matrix)
