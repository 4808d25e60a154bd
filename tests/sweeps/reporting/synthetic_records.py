"""Records of whole sweeps that follow a known law, written without training.

They are written by the code that writes those of real trials, so that whatever reads records reads
these. Accuracy grows with sigma and with the step; see `accuracy_of`.
"""

from types import SimpleNamespace

import numpy as np

from analysis.measures import measurement_cache
from factorlab.data.dataset import build
from factorlab.storage.journal import Journal
from factorlab.storage.record import identify
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from tests.helpers.experiments import write_experiment

STEPS = (2, 4, 6)
FINISHED = 1_790_000_000.0
CODE = {
    "from_step": 0,
    "sources_sha256": "ab" * 32,
    "versions": {"python": "3.11.7", "factorlab": "0.2.0", "torch": "2.15.0"},
    "revision": "c0" * 20,
    "difference_sha256": "de" * 32,
    "lock_sha256": None,
}


def accuracy_of(run, share=1.0):
    """Return the accuracy of a run after a share of its steps: larger with sigma and with it."""
    gain = 0.1 if run.data.family == "bump" else 0.3
    place = share * (0.25 * np.atleast_1d(run.data.sigma).mean() + gain)
    return round(float(min(1.0, place + 0.013 * (run.seed % 7))), 4)


def make_plan(folder, *, name="made", axes=None, **groups):
    """Return the saved plan of a small experiment in ``<folder>/runs``."""
    axes = axes or {
        "data.family": ["bump", "bump+stripes"],
        "data.sigma": [0.5, 1.0, 2.0],
        "seed": [0, 1, 2],
    }
    groups = {"representations": {"layers": ["layer4"], "grid": 6}, **groups}
    path = write_experiment(folder / f"{name}.yaml", axes=axes, **groups)
    made = plan.make(load(str(path)), folder / "runs")
    saved_plans.save(made)
    return made


def write_run(made, trial, *, steps=STEPS, kept=9, measured=False, size=None):
    """Write the record of a finished run.

    Args:
        made: Plan of the sweep.
        trial: The run.
        steps: Steps of its evaluations.
        kept: Number of samples kept at the last one.
        measured: Whether its representations were measured.
        size: Side of a sample in pixels; that of the run by default.
    """
    record, rng = write_evaluations(made, trial, steps=steps), np.random.default_rng(trial.run.seed)
    n = size or trial.run.data.size
    if kept:
        labels = rng.uniform(1, n, (kept, 2))
        readings = np.where(rng.random((kept, 1)) < 0.8, labels + 0.2, np.nan)
        arrays = {"images": _bumps(labels, n), "labels": labels, "readings": readings}
        record.write_samples(steps[-1], picture=np.zeros((8, 8, 3), np.uint8), arrays=arrays)
    if measured:
        for step in steps:
            measure(record, "layer4", step, rng)
    record.write_result(
        {
            "metrics": record.points()[0][-1].metrics,
            "weights_sha256": "0" * 64,
            "seconds": {"setup": 0.1, "train": 2.0 + trial.run.seed, "evaluate": 1.0},
            "steps": steps[-1],
            "parameters": 1234,
            "device": "cpu x86_64, 1 threads",
            "code": [CODE],
            "versions": CODE["versions"],
            "finished": FINISHED + 60 * trial.run.seed,
        }
    )
    return record


def write_evaluations(made, trial, *, steps=STEPS):
    """Write the configuration and the evaluations of a run that has not ended."""
    record, dataset = made.record(trial), build(trial.run.data, trial.run.seed)
    record.create(identify(trial.run, dataset), dataset)
    record.write_code([CODE])
    journal = Journal(record.journal)
    for step in steps:
        accuracy = accuracy_of(trial.run, step / steps[-1])
        journal.append(
            step,
            {
                "loss": 1 / step,
                "accuracy": accuracy,
                "accuracy_x": (1 + accuracy) / 2,
                "accuracy_y": (1 + accuracy) / 2,
                "share_none": (1 - accuracy) / 2,
                "share_misplaced": (1 - accuracy) / 2,
                "share_several": 0.0,
                "error_pixels": 3 * (1 - accuracy),
                "ceiling": 1.0,
                "train_loss": 1 / step,
                "validation_loss": 1.2 / step,
            },
        )
    return record


def measure(record, layer, step, rng, side=6):
    """Write measures of a layer: a bent sheet that is wider with the step."""
    x, y = (part.ravel() for part in np.meshgrid(*2 * [np.arange(1, side + 1.0)], indexing="ij"))
    sheet = np.stack([x * step, y, np.sin(x) + 0.1 * rng.random(len(x))], axis=1)
    principal = SimpleNamespace(scores=np.tile(sheet, 2), shares=np.full(15, 1 / 15))
    measures = SimpleNamespace(
        labels=np.stack([x, y], axis=1),
        principal=principal,
        embedding=sheet[:, ::-1],
        persistence=SimpleNamespace(scale=1.0, diagrams=[np.array([[0.0, 1.0]])] * 3),
    )
    measurement_cache.keep(record, layer, step, measures)
    fits = {f"r_squared_{kind}{axis}": 0.9 for kind in ("", "pca_") for axis in "xy"}
    holes = {"betti_0": 1.0, "betti_1": 0.0, "betti_2": 0.0}
    Journal(record.measures(layer)).append(step, {"dimension": 2.0} | fits | holes)


def _bumps(labels, n):
    """Return an image of a dark bump at each label, (K, n, n)."""
    pixels = np.arange(1, n + 1)
    bumps = np.exp(-((pixels - labels[..., None]) ** 2) / 2)  # (K, 2, n)
    return np.uint8(255 * (1 - np.einsum("kj,ki->kij", bumps[:, 0], bumps[:, 1])))
