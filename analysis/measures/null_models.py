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

Errors = NDArray[np.float64]

_DIGITS = 9  # sums of lattice increments differ from whole pixels in later ones


MODELS = ("nearest", "composed")
"""The null models, as they are named in columns."""

_WHOLE = ("", "_x", "_y", "_half_pixel", "_half_pixel_x", "_half_pixel_y")
"""Suffixes of accuracies on all labels; the others are on a part of them."""


def null_column(accuracy: str, model: str) -> str:
    """Return the column of a null model that belongs to one of an accuracy."""
    return accuracy.replace("accuracy", f"null_{model}", 1)


def ceiling_column(accuracy: str) -> str:
    """Return the column of the label reader's ceiling that belongs to one of an accuracy."""
    return accuracy.replace("accuracy", "ceiling", 1)


def labels_column(accuracy: str) -> str:
    """Return the column with the number of labels behind an accuracy."""
    part = accuracy.removeprefix("accuracy")
    return "labels" if part in _WHOLE else f"labels{part}"


def copied(examples: Labels, labels: Labels, *, period: float | None = None) -> Errors:
    """Return the errors of drawing the nearest example, in pixels, shape (labels, 2).

    Args:
        examples: Labels of the 2D examples of a data set, shape (examples, 2).
        labels: Labels that are asked for, shape (labels, 2).
        period: Period of both coordinates in pixels; None on a plain frame.

    Returns:
        The distance in x and in y; infinite if there are no examples.
    """
    if not len(examples):
        return np.full(labels.shape, np.inf)
    if period is not None:
        examples, labels = examples % period, labels % period
    # The stubs of scipy lack the box of a tree.
    _, nearest = KDTree(examples, boxsize=period).query(labels)  # type: ignore[arg-type]
    return np.round(apart(labels, examples[nearest], period), _DIGITS)


def composed(
    seen_x: NDArray[np.float64],
    seen_y: NDArray[np.float64],
    labels: Labels,
    *,
    period: float | None = None,
) -> Errors:
    """Return the errors of putting nearest coordinates together, in pixels, shape (labels, 2).

    Args:
        seen_x: Values of x in the training set, shape (values,).
        seen_y: Values of y, shape (values,).
        labels: Labels that are asked for, shape (labels, 2).
        period: Period of both coordinates in pixels; None on a plain frame.

    Returns:
        The distance in x and in y; infinite where no value was seen.
    """
    errors = np.full(labels.shape, np.inf)
    for axis, seen in enumerate((seen_x, seen_y)):
        values = np.unique(seen)
        if len(values):
            errors[:, axis] = apart(labels[:, axis, None], values, period).min(axis=1)
    return np.round(errors, _DIGITS)


def null_accuracies(run: RunSettings) -> dict[str, float]:
    """Return the accuracies of both models on the labels that a run was tested on.

    Returns:
        `null_nearest` and `null_composed`, and their parts, named like those of the run's
        accuracies: `_x`, `_y`, `_half_pixel`, `_half_pixel_x`, `_half_pixel_y`, `_seen`, `_unseen`
        and those of the held-out region. `labels` is the number of labels, and `labels_<part>` the
        number in each part of the plane.

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
    parts = tested.parts(data)
    found = {"labels": float(len(tested.labels))}
    found |= {f"labels_{part}": float(mask.sum()) for part, mask in parts.items()}
    models: dict[str, Callable[[Dataset, Labels], Errors]] = {
        "null_nearest": _nearest,
        "null_composed": _composed,
    }
    for name, model in models.items():
        errors = model(dataset, tested.labels)
        right, near = np.asarray(errors < TOLERANCE), np.asarray(errors <= TOLERANCE / 2)
        correct = np.asarray(right.all(axis=1))
        found |= {
            name: float(correct.mean()),
            f"{name}_x": float(right[:, 0].mean()),
            f"{name}_y": float(right[:, 1].mean()),
            f"{name}_half_pixel": float(near.all(axis=1).mean()),
            f"{name}_half_pixel_x": float(near[:, 0].mean()),
            f"{name}_half_pixel_y": float(near[:, 1].mean()),
            **{f"{name}_{part}": float(correct[mask].mean()) for part, mask in parts.items()},
        }
    return found


def _nearest(dataset: Dataset, labels: Labels) -> Errors:
    return copied(dataset.lattice[dataset.seen], labels, period=_period(dataset))


def _composed(dataset: Dataset, labels: Labels) -> Errors:
    shown = dataset.labels
    inside = np.ones_like(shown, dtype=bool)
    inside[dataset.samples_2d :] = (dataset.stripes >= 1) & (dataset.stripes <= dataset.data.size)
    seen_x, seen_y = (shown[inside[:, axis], axis] for axis in (0, 1))
    return composed(seen_x, seen_y, labels, period=_period(dataset))


def _period(dataset: Dataset) -> float | None:
    return float(dataset.data.size) if dataset.data.periodic else None
