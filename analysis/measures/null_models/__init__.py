"""Accuracies of models that learn nothing: one module per null model, discovered by name.

A null model is computed from a data set and the tested labels, without training. A model that is no
more accurate than `nearest` has learned nothing beyond its examples; one that is no more accurate
than `composed` has put together what it has seen, and does not interpolate. Labels are compared,
not images, so that the label reader's errors do not enter. An error of exactly a tolerance, which
is frequent on a lattice, counts as half right (`factorlab.evaluation.accuracy`).

To add a null model, add a module here with `TITLE` and `errors(dataset, labels)`. Every table then
has the columns `null_<name>`, and the figure `cells` shows it. No other file needs to change.
Modules whose names start with an underscore are helpers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis import plugins
from factorlab.config import DataSettings, EvaluationSettings, RunSettings
from factorlab.data.dataset import Dataset, build, evaluation_labels
from factorlab.data.lattice import Labels
from factorlab.evaluation.accuracy import expected_accuracies

Errors = NDArray[np.float64]


class NullModelModule(Protocol):
    """Interface of the modules in this folder."""

    TITLE: str
    """Name of the null model in legends."""

    def errors(self, dataset: Dataset, labels: Labels) -> Errors:
        """Return what the model misses each label by, in pixels, shape (labels, 2).

        Args:
            dataset: The data set of a run.
            labels: Labels that are asked for, shape (labels, 2).

        Returns:
            The error of x and of y, at least 0; infinite where the model draws nothing.
        """
        ...


IN_FINDINGS = ("nearest", "composed")
"""The null models that findings need."""

_WHOLE = ("", "_x", "_y", "_half_pixel", "_half_pixel_x", "_half_pixel_y")
"""Suffixes of accuracies on all labels; the others are on a part of them."""

_FOLDER = plugins.Folder[NullModelModule](__name__, __path__, "null models")
load = _FOLDER.load


def available() -> list[str]:
    """Return the names of all null models, those that findings need first."""
    return [*IN_FINDINGS, *(name for name in _FOLDER.available() if name not in IN_FINDINGS)]


def null_column(accuracy: str, model: str) -> str:
    """Return the column of a null model that belongs to one of an accuracy."""
    return accuracy.replace("accuracy", f"null_{model.replace('-', '_')}", 1)


def ceiling_column(accuracy: str) -> str:
    """Return the column of the label reader's ceiling that belongs to one of an accuracy."""
    return accuracy.replace("accuracy", "ceiling", 1)


def labels_column(accuracy: str) -> str:
    """Return the column with the number of labels behind an accuracy."""
    part = accuracy.removeprefix("accuracy")
    return "labels" if part in _WHOLE else f"labels{part}"


def null_accuracies(run: RunSettings) -> dict[str, float]:
    """Return the accuracies of all null models on the labels that a run was tested on.

    Returns:
        `null_<name>` of each null model, and its parts, named like those of the run's accuracies:
        `_x`, `_y`, `_half_pixel`, `_half_pixel_x`, `_half_pixel_y`, `_seen`, `_unseen` and those of
        the held-out region. `labels` is the number of labels, and `labels_<part>` the number in
        each part of the plane.

    Raises:
        UserError: The settings make no data set.
        ValueError: A null model returns no error for each label.
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
    for name in available():
        errors = np.asarray(load(name).errors(dataset, tested.labels))
        if errors.shape != tested.labels.shape or not (errors >= 0).all():
            raise ValueError(
                f"analysis/measures/null_models/{name}: errors(...) must return errors in pixels, "
                f"at least 0, shape {tested.labels.shape}."
            )
        accuracy = expected_accuracies(errors, parts)
        found |= {null_column(column, name): value for column, value in accuracy.items()}
    return found
