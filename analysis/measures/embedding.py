"""Low-dimensional embeddings of representations, and how well labels are read off them ([W] A.3).

Labels on a circle have no line to lie on: told their period, all regressions here explain their
cosine and sine instead, and the share is that of both (ours; [W] has no periodic images).

UMAP's first call in a process compiles for 10 to 20 s; later ones take seconds.
"""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict

from analysis.measures.pca import Principal, decompose
from analysis.measures.validation import check, check_labels
from factorlab.system import cache_folder

# Principal components that UMAP is given: a third of the time of all features.
LEADING = 50

Floats = NDArray[np.float64]


class RSquared(NamedTuple):
    """Shares of the variance of the labels that linear regressions explain, at most 1."""

    x: float
    """Of mu_x."""

    y: float
    """Of mu_y."""


def embed(points: NDArray[np.floating] | Principal, dimensions: int = 3, seed: int = 0) -> Floats:
    """Embed representations by UMAP, after PCA, on one thread so that a seed decides all bits.

    Args:
        points: Representations, (samples, features), or their principal components.
        dimensions: Of the embedding.
        seed: Of UMAP.

    Returns:
        (samples, dimensions).

    Raises:
        ValueError: Too few samples, all the same, or one that is not finite.
    """
    components = decompose(points, least=dimensions + 2)
    cache_folder.provide()  # UMAP is compiled by numba
    # Of one size, so that the unit of the representations decides nothing.
    scores = components.scores[:, :LEADING] / np.sqrt(components.variances.sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # an optional part of it needs TensorFlow
        warnings.simplefilter("ignore", UserWarning)  # a seed means one thread
        import umap  # noqa: PLC0415 - seconds that other measures do without

        reducer = umap.UMAP(
            n_components=dimensions,
            n_neighbors=min(15, len(scores) - 1),
            random_state=seed,
            n_jobs=1,
        )
        embedded: Floats = reducer.fit_transform(scores).astype(np.float64)
    return embedded


def fitted(
    coordinates: NDArray[np.floating], labels: NDArray[np.floating], period: float | None = None
) -> RSquared:
    """R-squared of the linear regressions of the labels on some coordinates.

    Args:
        coordinates: (samples, dimensions).
        labels: Labels, (samples, 2).
        period: Of both labels, where they lie on circles.

    Raises:
        ValueError: Shapes that do not match, or a number that is not finite.
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
    """R-squared of regressions on leading principal components, of samples they did not see.

    At most 1, and below 0 where a prediction is worse than the mean.

    Args:
        points: Representations, (samples, features), or their principal components.
        labels: Labels, (samples, 2).
        components: Leading principal components.
        folds: Parts, each predicted from the others.
        seed: Of the parts.
        period: Of both labels, where they lie on circles.

    Raises:
        ValueError: Fewer samples than components and folds need, shapes that do not match, or a
            number that is not finite.
    """
    scores = decompose(points, least=max(components + 1, folds)).scores[:, :components]
    check_labels(labels, len(scores))
    parts = KFold(folds, shuffle=True, random_state=seed)
    targets = _targets(labels, period)
    return _explained(targets, cross_val_predict(LinearRegression(), scores, targets, cv=parts))


def _targets(labels: NDArray[np.floating], period: float | None) -> Floats:
    """What regressions explain of each label: itself, or its place on a circle; (samples, 2 or 4).

    Those of x come first.
    """
    if (labels == labels[0]).all(axis=0).any():
        raise ValueError("All labels have the same coordinate, which nothing can explain.")
    if period is None:
        return np.asarray(labels, dtype=np.float64)
    angles = 2 * np.pi * labels / period
    return np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(len(labels), 4)


def _explained(targets: Floats, predicted: Floats) -> RSquared:
    """R-squared of each label, of all its targets together."""
    errors = np.square(targets - predicted).sum(axis=0).reshape(2, -1).sum(axis=1)
    spreads = np.square(targets - targets.mean(axis=0)).sum(axis=0).reshape(2, -1).sum(axis=1)
    x, y = (1 - errors / spreads).tolist()
    return RSquared(x=x, y=y)
