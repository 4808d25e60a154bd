"""Records on disk whose accuracies follow a known law, written without training."""

import hashlib
import json
import math

import numpy as np

from factorlab.data.dataset import build
from factorlab.storage.journal import Journal
from factorlab.storage.record import identify
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from tests.helpers.synthetic_trials import accuracy_at

LAWS = {"bump": (0.14, 2.0), "bump+stripes": (1.2, 1.0)}
"""Samples at the crossing of 60 %: prefactor and exponent of a power law of N."""

SCALING = {
    "name": "scaling",
    "base": {
        "data": {"spacing": 0.5},
        "training": {"steps": 900},
        "evaluation": {"samples": 400, "keep": 0},
    },
    "axes": {
        "data.family": ["bump", "bump+stripes"],
        "data.size": [8, 12, 16],
        "data.subsample": [0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 1.0],
        "seed": [0, 1],
    },
    "profiles": {
        "laptop": {},
        "smoke": {
            "base": {"training": {"steps": 300}},
            "axes": {"data.family": ["bump"], "data.size": [8, 12]},
        },
    },
    "figures": ["scaling"],
}
"""A scaling experiment: the profile `smoke` has a part of its runs, trained for fewer steps."""

TORUS = {
    "name": "torus",
    "base": {
        "data": {"size": 8, "spacing": 0.5, "periodic": True},
        "training": {"steps": 800},
        "evaluation": {"at": [0, 100, 200, 400], "samples": 64, "keep": 0},
        "representations": {"layers": ["layer4"], "grid": 8},
    },
    "axes": {"seed": [0, 1, 2]},
    "figures": [],
}
"""Runs whose layer 4 is measured at every evaluation."""

HOLES = {
    "name": "holes",
    "base": {
        "data": {"size": 6, "spacing": 1.0, "held_out": {"kind": "box", "width": 1.0}},
        "model": {"width": 4, "encoding": 8},
        "diffusion": {"prediction": "v", "sampling_steps": 2},
        "training": {"steps": 6, "batch_size": 4},
        "evaluation": {"samples": 8, "loss_samples": 4, "keep": 2},
    },
    "axes": {"data.held_out.width": [1.0, 2.0], "seed": [0, 1]},
    "figures": [],
}
"""Tiny runs for real training, within seconds."""


def law(settings, samples):
    """Accuracy by samples: crossings at 0.14 N^2 or, beside stripes, 1.2 N; seeds scatter."""
    prefactor, exponent = LAWS[settings.data.family]
    shift = 0.15 * math.sin(1 + 3 * settings.seed + settings.data.size)
    threshold = prefactor * settings.data.size**exponent * math.exp(shift)
    short = 0.8 if settings.training.steps < 900 else 1.0
    return short * round(400 * float(accuracy_at(samples, threshold))) / 400


def make_plan(content, runs, profile=None):
    """Plan an experiment and save the plan."""
    made = plan.make(load(content, profile), runs)
    saved_plans.save(made)
    return made


def write_finished(made, accuracy):
    """Write the finished record of every trial of a plan.

    Args:
        made: The plan.
        accuracy: A function of settings, number of 2D examples and step.
    """
    for trial in made.trials:
        run, dataset = trial.run, build(trial.run.data, trial.run.seed)
        record = made.record(trial)
        record.create(identify(run, dataset), dataset)
        journal, steps = Journal(record.journal), run.training.steps
        for step in (*run.evaluation.at, steps):
            metrics = _metrics(accuracy(run, dataset.samples_2d, step))
            journal.append(step, metrics)
        journal.repair()
        record.write_result(
            {
                "metrics": metrics,
                "weights_sha256": hashlib.sha256(trial.key.encode()).hexdigest(),
                "seconds": {"train": steps / 100, "evaluate": 1.0},
                "steps": steps,
                "parameters": 1000,
                "device": "cpu test, 1 threads",
                "finished": 1_700_000_000.0,
            }
        )


def _metrics(accuracy):
    return {
        "loss": 0.2 * (1.1 - accuracy),
        "accuracy": accuracy,
        "ceiling": 1.0,
        "share_none": 0.0,
        "share_misplaced": 1 - accuracy,
        "share_several": 0.0,
        "train_loss": 0.1 * (1.2 - accuracy),
    }


def write_measures(made):
    """Write measures of layer 4 at every evaluation: dimension falls, the score rises."""
    for trial in made.trials:
        record, run = made.record(trial), trial.run
        record.analysis.mkdir(exist_ok=True)
        journal = Journal(record.measures("layer4"))
        for step in (*run.evaluation.at, run.training.steps):
            done = step / run.training.steps
            fit = 0.95 * (1 - math.exp(-4 * done)) + 0.01 * run.seed
            names = ("r_squared_x", "r_squared_y", "r_squared_pca_x", "r_squared_pca_y")
            values = {
                "dimension": 18 - 14 * done,
                "factorization": fit,
                "null_image_dimension": 4.0,
            }
            journal.append(step, values | dict.fromkeys(names, fit))
        journal.repair()


def fill(runs):
    """Write the sweeps `scaling` (two profiles) and `torus` to a runs folder."""
    for profile in ("smoke", "laptop"):  # the newest is that of the profile `laptop`
        write_finished(make_plan(SCALING, runs, profile), lambda run, n, _: law(run, n))
    torus = make_plan(TORUS, runs)
    write_finished(torus, lambda run, _, step: float(np.round(step / run.training.steps, 3)))
    write_measures(torus)


def changed(content, **groups):
    """Return a copy of an experiment with further keys."""
    return json.loads(json.dumps(content)) | groups
