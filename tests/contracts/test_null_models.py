"""Contract of null models; the example of docs/extending.md has to keep it, too."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from analysis.measures import null_models
from factorlab.data.dataset import build, evaluation_labels
from factorlab.parsing import parse

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "smoothing.py"
DATA = (
    {"size": 8, "subsample": 0.1},
    {"size": 8, "subsample": 0.1, "periodic": True},
    {"size": 8, "family": "bump+stripes", "subsample": 0.1},
    {"size": 8, "family": "stripes"},
    {"size": 8, "held_out": {"kind": "cross", "width": 2}},
)


@pytest.fixture(params=[*null_models.available(), "example"])
def model(request):
    if request.param != "example":
        return null_models.load(request.param)
    spec = importlib.util.spec_from_file_location("smoothing", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_model_has_a_title(model):
    assert model.TITLE == model.TITLE.strip() != ""


@pytest.mark.parametrize("data", DATA, ids=str)
def test_errors_are_distances_of_every_label(model, data):
    settings = parse({"data": data})
    dataset = build(settings.data, 0)
    labels = evaluation_labels(settings, dataset).labels
    found = model.errors(dataset, labels)
    assert found.shape == labels.shape
    assert (found >= 0).all()
    np.testing.assert_array_equal(found, model.errors(dataset, labels))


def test_model_that_returns_something_else_is_named(monkeypatch):
    class Broken:
        TITLE = "broken"

        @staticmethod
        def errors(_dataset, labels):
            return -np.ones_like(labels)

    monkeypatch.setattr(null_models, "available", lambda: ["broken"])
    monkeypatch.setattr(null_models, "load", lambda _name: Broken)
    with pytest.raises(ValueError, match=r"null_models/broken: errors\(\.\.\.\) must return"):
        null_models.null_accuracies(parse({"data": {"size": 7}, "seed": 11}))
