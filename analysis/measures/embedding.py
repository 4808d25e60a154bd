"""Low-dimensional embeddings of representations, and linear regressions of labels ([W] A.3).

Periodic labels lie on a circle, which a linear regression cannot fit. Given the period, all
regressions here predict the cosine and sine of a label instead, and R-squared covers both (ours;
[W] has no periodic images).

UMAP compiles for 10 to 20 s the first time. Later processes load the machine code from numba's
cache.
"""

import warnings
from functools import cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict

from analysis.measures.pca import Principal, decompose
from analysis.measures.validation import check, check_labels
from factorlab.system import cache_folder

# Number of principal components passed to UMAP; takes a third of the time of all features.
LEADING = 50

Floats = NDArray[np.float64]


class RSquared(NamedTuple):
    """Share of the label variance that a linear regression explains, at most 1."""

    x: float
    """R-squared of mu_x."""

    y: float
    """R-squared of mu_y."""


def embed(points: NDArray[np.floating] | Principal, dimensions: int = 3, seed: int = 0) -> Floats:
    """Embed representations with UMAP after PCA.

    UMAP runs on one thread, so the seed determines the result bit for bit.

    Args:
        points: Representations, shape (samples, features), or their principal components.
        dimensions: Dimension of the embedding.
        seed: Seed of UMAP.

    Returns:
        The embedding, shape (samples, dimensions).

    Raises:
        ValueError: There are too few samples, all samples are the same, or a value is not finite.
    """
    components = decompose(points, least=dimensions + 2)
    cache_folder.provide()  # numba compiles UMAP and caches the result
    scores = normalised(components)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # an optional part of UMAP needs TensorFlow
        warnings.simplefilter("ignore", UserWarning)  # UMAP warns that a seed implies one thread
        reducer = _umap().UMAP(
            n_components=dimensions,
            n_neighbors=min(15, len(scores) - 1),
            random_state=seed,
            n_jobs=1,
        )
        embedded: Floats = reducer.fit_transform(scores).astype(np.float64)
    return embedded


@cache
def _umap() -> ModuleType:
    """Import UMAP, which takes seconds, and have numba keep what it compiles of it.

    UMAP caches a few of its functions only, so every process would compile the others.
    """
    import umap.layouts  # noqa: PLC0415 - other measures do not need it

    compiled = type(umap.umap_.smooth_knn_dist)
    for module in (umap.umap_, umap.layouts):
        for value in vars(module).values():
            if isinstance(value, compiled):
                value.enable_caching()
    found: ModuleType = umap
    return found


def normalised(components: Principal) -> Floats:
    """Return the leading scores that `embed` passes to UMAP, shape (samples, at most LEADING).

    They are scaled to a total variance of 1, so the unit of the representations has no effect.
    """
    scaled: Floats = components.scores[:, :LEADING] / np.sqrt(components.variances.sum())
    return scaled


def fitted(
    coordinates: NDArray[np.floating], labels: NDArray[np.floating], period: float | None = None
) -> RSquared:
    """Compute R-squared of linear regressions of the labels on coordinates.

    Args:
        coordinates: Predictors, shape (samples, dimensions).
        labels: Labels in pixels, shape (samples, 2).
        period: Period of both labels in pixels; None if the labels are not periodic.

    Raises:
        ValueError: Shapes do not match, a value is not finite, or a coordinate of the labels is
            constant.
    """
    check(coordinates)
    check_labels(labels, len(coordinates))
    targets = _targets(labels, period)
    model = LinearRegression().fit(coordinates, targets)
    return _explained(targets, model.predict(coordinates))


def cross_validated(
    points: NDArray[np.floating] | Principal,
    labels: NDArray[np.floating],
    components: int = 3,
    folds: int = 5,
    seed: int = 0,
    period: float | None = None,
) -> RSquared:
    """Compute cross-validated R-squared of regressions on leading principal components.

    The result is at most 1. It is negative if the predictions are worse than the mean.

    Args:
        points: Representations, shape (samples, features), or their principal components.
        labels: Labels in pixels, shape (samples, 2).
        components: Number of leading principal components.
        folds: Number of folds, each predicted from the others.
        seed: Seed of the split into folds.
        period: Period of both labels in pixels; None if the labels are not periodic.

    Raises:
        ValueError: There are fewer samples than components and folds need, shapes do not match, a
            value is not finite, or a coordinate of the labels is constant.
    """
    scores = decompose(points, least=max(components + 1, folds)).scores[:, :components]
    check_labels(labels, len(scores))
    parts = KFold(folds, shuffle=True, random_state=seed)
    targets = _targets(labels, period)
    return _explained(targets, cross_val_predict(LinearRegression(), scores, targets, cv=parts))


def _targets(labels: NDArray[np.floating], period: float | None) -> Floats:
    """Return the regression targets: the labels, or their cosines and sines if periodic.

    Returns:
        Shape (samples, 2), or (samples, 4) for periodic labels; the targets of x come first.
    """
    if (labels == labels[0]).all(axis=0).any():
        raise ValueError(
            "All labels have the same coordinate along one axis, so R-squared is undefined."
        )
    if period is None:
        return np.asarray(labels, dtype=np.float64)
    angles = 2 * np.pi * labels / period
    return np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(len(labels), 4)


def _explained(targets: Floats, predicted: Floats) -> RSquared:
    """Return R-squared of each label over all of its targets."""
    errors = np.square(targets - predicted).sum(axis=0).reshape(2, -1).sum(axis=1)
    spreads = np.square(targets - targets.mean(axis=0)).sum(axis=0).reshape(2, -1).sum(axis=1)
    x, y = (1 - errors / spreads).tolist()
    return RSquared(x=x, y=y)
