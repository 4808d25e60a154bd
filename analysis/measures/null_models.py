"""Accuracies of models that learn nothing, computed from a data set and the tested labels.

- *nearest example*: draws the 2D training example whose label is nearest to the label asked for.
- *coordinate composer*: draws the nearest x and the nearest y of the training set, each on its own.
  Stripes inside the frame show one coordinate each, and count.

A model that is no more accurate than the first has learned nothing beyond its examples; one that is
no more accurate than the second has put together what it has seen, and does not interpolate. Labels
are compared, not images, so that the label reader's errors do not enter. Both are our definition.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from factorlab.config import DataSettings, EvaluationSettings, RunSettings
from factorlab.data.dataset import Dataset, build, evaluation_labels
from factorlab.data.lattice import Labels, apart

TOLERANCE = 1.0
"""Errors of a coordinate below this many pixels count as right ([W] eq. 1)."""

Right = NDArray[np.bool_]


def copied(examples: Labels, labels: Labels, *, period: float | None = None) -> Right:
    """Return which labels are right if the nearest example is drawn, shape (labels,).

    Args:
        examples: Labels of the 2D examples of a data set, shape (examples, 2).
        labels: Labels that are asked for, shape (labels, 2).
        period: Period of both coordinates in pixels; None on a plain frame.
    """
    if not len(examples):
        return np.zeros(len(labels), dtype=bool)
    if period is not None:
        examples, labels = examples % period, labels % period
    # The stubs of scipy lack the box of a tree.
    _, nearest = KDTree(examples, boxsize=period).query(labels)  # type: ignore[arg-type]
    return np.asarray((apart(labels, examples[nearest], period) < TOLERANCE).all(axis=1))


def composed(
    seen_x: NDArray[np.float64],
    seen_y: NDArray[np.float64],
    labels: Labels,
    *,
    period: float | None = None,
) -> Right:
    """Return which labels are right if nearest coordinates are put together, shape (labels,).

    Args:
        seen_x: Values of x in the training set, shape (values,).
        seen_y: Values of y, shape (values,).
        labels: Labels that are asked for, shape (labels, 2).
        period: Period of both coordinates in pixels; None on a plain frame.
    """
    right = np.ones(len(labels), dtype=bool)
    for seen, asked in zip((seen_x, seen_y), labels.T, strict=True):
        values = np.unique(seen)
        if not len(values):
            return np.zeros(len(labels), dtype=bool)
        right &= apart(asked[:, None], values, period).min(axis=1) < TOLERANCE
    return right


def null_accuracies(run: RunSettings) -> dict[str, float]:
    """Return the accuracies of both models on the labels that a run was tested on.

    Returns:
        `null_nearest` and `null_composed`, and of each its part `_seen`, `_unseen` and those of the
        held-out region, named like the parts of the run's accuracy.

    Raises:
        UserError: The settings make no data set.
    """
    return dict(_accuracies(run.data, run.evaluation, run.seed))


@lru_cache(maxsize=4096)
def _accuracies(
    data: DataSettings, evaluation: EvaluationSettings, seed: int
) -> Mapping[str, float]:
    run = RunSettings(data=data, evaluation=evaluation.model_copy(update={"at": ()}), seed=seed)
    dataset = build(data, seed)
    tested = evaluation_labels(run, dataset)
    models: dict[str, Callable[[Dataset, Labels], Right]] = {
        "null_nearest": _nearest,
        "null_composed": _composed,
    }
    found = {}
    for name, model in models.items():
        right = model(dataset, tested.labels)
        found[name] = float(right.mean())
        for part, mask in tested.parts(data).items():
            found[f"{name}_{part}"] = float(right[mask].mean())
    return found


def _nearest(dataset: Dataset, labels: Labels) -> Right:
    return copied(dataset.lattice[dataset.seen], labels, period=_period(dataset))


def _composed(dataset: Dataset, labels: Labels) -> Right:
    shown = dataset.labels
    inside = np.ones_like(shown, dtype=bool)
    inside[dataset.samples_2d :] = (dataset.stripes >= 1) & (dataset.stripes <= dataset.data.size)
    seen_x, seen_y = (shown[inside[:, axis], axis] for axis in (0, 1))
    return composed(seen_x, seen_y, labels, period=_period(dataset))


def _period(dataset: Dataset) -> float | None:
    return float(dataset.data.size) if dataset.data.periodic else None
