"""Null models, judged as if they were trained models: no finding may be shown by one."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis import findings
from analysis.measures.null_models import nearest, null_accuracies
from factorlab.data.dataset import build, evaluation_labels
from factorlab.evaluation.accuracy import accuracies
from factorlab.parsing import flatten, parse
from sweeps.planning import plan
from sweeps.planning.experiment import load
from tests.analysis.findings.test_verdicts import CASES

MEASURES = ("r_squared_x", "r_squared_y", "dimension", "variance_top_four", "factorization")
HOLES = {"betti_0": 1, "betti_1": 2, "betti_2": 1}
LAYERS = ("layer2", "layer3", "layer4", "layer4-t900", "layer5")


def representations():
    """Measures of a layer that holds the image, whatever the step; 0.9 suits every bound."""
    image = dict.fromkeys(MEASURES, 0.9) | HOLES | {"orthogonality_x_on_y": 0.1}
    found = {f"{layer}/phase": "C" for layer in LAYERS}
    for layer, (name, value) in itertools.product(LAYERS, image.items()):
        found |= {f"{layer}/{name}": value, f"{layer}/null_image_{name}": value}
        found[f"{layer}/null_untrained_{name}"] = value
    return found


def evaluations(key, run, scatter=0.0):
    """The evaluations of a run whose model draws the nearest example, with a scatter in pixels."""
    data = build(run.data, run.seed)
    nulls = null_accuracies(run)
    model = {
        name.replace("null_nearest", "accuracy"): value
        for name, value in nulls.items()
        if name.startswith("null_nearest")
    }
    if scatter:
        tested = evaluation_labels(run, data)
        missed = nearest.errors(data, tested.labels)
        missed = abs(missed + np.random.default_rng(run.seed).normal(0, scatter, missed.shape))
        model = accuracies(missed, tested.parts(run.data))
    wrong = {"failure_none": 0.0, "failure_misplaced": 1 - model["accuracy"]}
    wrong |= {"failure_several": 0.0}
    row = {"key": key, "state": "done", **flatten(run.model_dump(mode="python")), **nulls, **model}
    row |= {"samples_2d": data.samples_2d, "samples_total": data.samples_total, "ceiling": 1.0}
    row |= {"train_loss": 0.1, "validation_loss": 0.1, **wrong, **representations()}
    steps = sorted({*run.evaluation.at, run.training.steps})
    return [row | {"step": step, "last": step == steps[-1]} for step in steps]


def laptop(experiment, tmp_path, scatter=0.0):
    """The trials of the laptop profile."""
    made = plan.make(load(experiment, "laptop"), tmp_path)
    return pd.DataFrame(
        [row for trial in made.trials for row in evaluations(trial.key, trial.run, scatter)]
    )


def grid(scatter=0.0):
    """Trials of the scaling experiment on a grid, since its profile is a search."""
    rows = []
    shares = (0.02, 0.04, 0.08, 0.16, 0.32, 1.0)
    families = ("bump", "bump+stripes", "bump+thinned-stripes")
    for family, size, share, seed in itertools.product(families, (7, 10, 14), shares, (0, 1, 2)):
        data = {"family": family, "size": size, "spacing": 0.5, "subsample": share}
        rows += evaluations(f"{len(rows)}", parse({"data": data, "seed": seed}), scatter)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("experiment", findings.available())
def test_nearest_example_shows_no_finding(experiment, tmp_path):
    table = grid() if experiment == "scaling" else laptop(experiment, tmp_path)
    for claim, outcome in findings.judge(experiment, table):
        assert outcome.verdict in ("not shown", "not resolvable", "not measured"), claim.text
        assert outcome.error is None


@pytest.mark.parametrize("experiment", ["scaling", "percolation", "intervention"])
def test_scattered_copies_show_no_finding_on_accuracy(experiment, tmp_path):
    """On a lattice, many labels are a pixel from an example: copies with a scatter get half."""
    table = grid(0.1) if experiment == "scaling" else laptop(experiment, tmp_path, 0.1)
    for claim, outcome in findings.judge(experiment, table):
        if claim.null != "both losses alike at every lambda":
            assert outcome.verdict != "shown", (claim.text, outcome.numbers)
            assert outcome.error is None


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("scaling")])
def test_null_model_of_a_table_shows_no_finding(case):
    """The accuracies and measures of a table are replaced by those of its null models."""
    table, _ = CASES[case]
    fed = table.copy()
    for column in table:
        if column.startswith("accuracy"):
            fed[column] = table[column.replace("accuracy", "null_nearest")]
        layer, slash, name = column.partition("/")
        if slash and not name.startswith("null_"):
            fed[column] = table.get(f"{layer}/null_image_{name}", math.nan)
    fed = fed.drop(columns=[c for c in fed if c.endswith("_loss")])
    for claim, outcome in findings.judge(case.partition(" ")[0], fed):
        assert outcome.verdict != "shown", claim.text
        assert outcome.error is None, outcome.error


def test_every_claim_names_its_null_model():
    for experiment in findings.available():
        for claim in findings.load(experiment).CLAIMS:
            assert claim.null
