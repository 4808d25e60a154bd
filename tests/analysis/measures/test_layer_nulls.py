"""Clean images as representations, against closed forms and known numbers."""

import numpy as np
import pytest
import torch

from analysis.measures.layer_nulls import PREFIX, image_null, images_at
from factorlab.data.rendering import render
from factorlab.evaluation.activations import grid_labels
from factorlab.parsing import parse


def run_of(family="bump", size=16, side=16, **data):
    return parse(
        {
            "data": {"family": family, "size": size, "periodic": True, **data},
            "model": {"width": 4, "encoding": 8},
            "representations": {"layers": ["layer4"], "grid": side},
        }
    )


@pytest.mark.parametrize(
    ("layer", "side"), [("layer0", 8), ("layer1", 4), ("layer3", 4), ("layer4", 8), ("layer5", 16)]
)
def test_images_have_the_resolution_of_the_layer(layer, side):
    run = run_of()
    labels = grid_labels(run)[:5]
    found = images_at(run, layer, labels)
    assert found.shape == (5, side * side)
    images = render(torch.from_numpy(labels), run.data)[:, 0].numpy()
    cells = images.reshape(5, side, 16 // side, side, 16 // side).mean(axis=(2, 4))
    np.testing.assert_allclose(found, cells.reshape(5, -1), rtol=1e-12)


def test_bumps_are_a_code_of_places():
    """N = 16, sigma = 1, pooled to 8 x 8; numbers of an independent script of pooled images."""
    run = run_of(side=32)
    labels = grid_labels(run)
    null = image_null(run, "layer4", labels, (32, 32), seed=0)
    numbers = {name.removeprefix(PREFIX): value for name, value in null.numbers.items()}
    assert numbers["factorization"] == pytest.approx(0.23, abs=0.01)
    assert numbers["orthogonality_x_on_y"] == pytest.approx(0.07, abs=0.01)
    assert numbers["orthogonality_x_on_x"] == pytest.approx(0.30, abs=0.02)
    assert numbers["parallelism_x_on_y"] == pytest.approx(0.31, abs=0.02)
    assert numbers["dimension"] == pytest.approx(18.3, abs=0.2)
    assert numbers["variance_top_four"] == pytest.approx(0.35, abs=0.01)
    assert [numbers[f"betti_{k}"] for k in range(3)] == [1, 2, 1]
    assert numbers["additive_share"] == pytest.approx(0.50, abs=0.02)
    assert null.beside(null.measures)["cka_image"] == pytest.approx(1)


def test_sums_of_stripes_are_additive():
    run = run_of("sos")
    null = image_null(run, "layer4", grid_labels(run), (16, 16), seed=0)
    assert null.numbers[f"{PREFIX}additive_share"] == pytest.approx(1)
    assert null.numbers[f"{PREFIX}factorization"] == pytest.approx(1)


def test_equal_images_have_no_measures():
    """At sigma = 0.02 a bump between pixels is exp(-0.5^2 / 0.0016) = 10^-68 dark."""
    run = run_of(sigma=0.02, side=32)
    assert image_null(run, "layer4", grid_labels(run), (32, 32), seed=0) is None
