"""Contract of data families; the example of docs/extending.md has to keep it, too."""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from factorlab import families
from factorlab.data.dataset import build
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.parsing import parse
from factorlab.storage.record import identify

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "ring.py"


def load(name):
    if name != "example":
        return families.of(name)
    spec = importlib.util.spec_from_file_location("ring", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=[*families.available(), "example"])
def family(request):
    return load(request.param)


def squared(at, label, sigma):
    """Squared distances in the unit that `intensity` takes."""
    return (torch.as_tensor(at, dtype=torch.float64) - label) ** 2 / (4 * sigma**2)


def drawn(family, x, y, *, side=9, sigma=1.0):
    pixels = torch.arange(1, side + 1, dtype=torch.float64)
    along_x = squared(pixels, x, sigma).reshape(1, 1, side)
    along_y = squared(pixels, y, sigma).reshape(1, side, 1)
    return family.intensity(along_x, along_y)


def test_family_states_title_version_stripe_and_reader(family):
    assert isinstance(family.TITLE, str)
    assert family.TITLE == family.TITLE.strip() != ""
    assert isinstance(family.VERSION, int)
    assert family.VERSION >= 1
    assert 0 < family.STRIPE <= 1
    assert "periodic" in inspect.signature(family.READ).parameters
    assert inspect.getdoc(family)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_intensity_lies_between_white_and_black(family, sigma):
    image = drawn(family, 3.7, 5.2, sigma=sigma)
    assert image.shape == (1, 9, 9)
    assert image.dtype == torch.float64
    assert bool(((image >= 0) & (image <= 1)).all())


def test_intensity_treats_x_and_y_alike(family):
    torch.testing.assert_close(
        drawn(family, 3.7, 5.2), drawn(family, 5.2, 3.7).transpose(1, 2), rtol=1e-12, atol=0
    )


def test_intensity_moves_with_the_label(family):
    here, there = drawn(family, 4.0, 5.0), drawn(family, 5.0, 6.0)
    torch.testing.assert_close(here[:, :-1, :-1], there[:, 1:, 1:], rtol=1e-12, atol=0)


def test_reader_reads_every_clean_image_within_a_pixel(family):
    labels = np.stack(np.meshgrid(np.arange(6, 12), np.arange(6, 12)), -1).reshape(-1, 2)
    for x, y in labels:
        image = 1 - drawn(family, float(x), float(y), side=16)[0]
        (found_x, found_y), shapes = family.READ(
            np.round(image.numpy() * 255).astype(np.uint8), periodic=False
        )
        assert abs(found_x - x) < 1
        assert abs(found_y - y) < 1
        assert shapes == 1


def test_reader_finds_nothing_in_a_white_image(family):
    (x, y), shapes = family.READ(np.full((16, 16), 255, np.uint8), periodic=False)
    assert np.isnan([x, y]).any()
    assert shapes == 0


@pytest.mark.parametrize("name", families.families())
def test_every_family_has_a_title_a_data_set_and_images(name):
    settings = parse({"data": {"family": name, "size": 8}})
    dataset = build(settings.data, settings.seed)
    images = to_8_bit(to_model(render(torch.from_numpy(dataset.labels[:4]), settings.data)))
    assert images.shape == (4, 8, 8)
    assert families.titles()[name]


@pytest.mark.parametrize("name", families.available())
def test_version_above_one_changes_the_key(name, monkeypatch):
    settings = parse({"data": {"family": name, "size": 6}})
    dataset = build(settings.data, settings.seed)
    first = identify(settings, dataset)
    assert "look" not in first.document  # keys of earlier records have no version
    keys = {first.key}
    for version in (2, 3):
        monkeypatch.setattr(families.of(name), "VERSION", version)
        changed = identify(settings, dataset)
        assert changed.document == first.document | {"look": version}
        keys.add(changed.key)
    assert len(keys) == 3
