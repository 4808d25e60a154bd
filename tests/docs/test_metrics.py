"""The page of metrics names everything that evaluations and measures give."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.measures import null_models, scalars
from analysis.measures.checkpoint import measure
from factorlab.data.dataset import build
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model.diffusion import Diffusion
from factorlab.model.unet import UNet
from tests.helpers.settings import evaluated_run

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text("utf-8")
ROWS = re.findall(r"^\| (`.*?) \|", PAGE, re.M)
NAMES = [name for row in ROWS for name in row.split(", ") if name != "..."]
LISTED = set(NAMES)


def listed(name):
    """Whether the page names a metric, or the accuracy that it belongs to."""
    for kind in ("ceiling", *(f"null_{model}" for model in null_models.available())):
        if name != "ceiling_contrast" and name.startswith(kind):
            name = name.replace(kind, "accuracy", 1)
    return f"`{name}`" in LISTED


@pytest.mark.parametrize("kind", [None, "cross", "box"])
def test_page_names_every_metric_of_an_evaluation(kind):
    region = {"held_out": {"kind": kind, "width": 2}} if kind else {}
    settings = evaluated_run(data={"size": 8, **region})
    dataset = build(settings.data, settings.seed)
    diffusion = Diffusion(settings.diffusion)
    evaluator = Evaluator(settings, dataset, diffusion, torch.device("cpu"))
    found = evaluator.evaluate(UNet(settings.model)).metrics
    assert {"accuracy", "ceiling", "train_loss"} < set(found)
    assert not [name for name in found if not listed(name)]
    nulls = null_models.null_accuracies(settings)
    assert not [name for name in nulls if not listed(name) and not name.startswith("labels")]


@pytest.mark.parametrize("period", [None, 8.0])
def test_page_names_every_measure(period):
    rng = np.random.default_rng(0)
    labels = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), -1).reshape(-1, 2)
    measures = measure(rng.normal(size=(64, 9)), labels, (8, 8), period=period)
    found = scalars.of(measures)
    assert len(found) > 20
    assert not [name for name in found if f"`{name}`" not in LISTED]


def test_page_names_nothing_twice():
    assert len(NAMES) == len(LISTED)
