"""All measures of the representations of one checkpoint, for figures and tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.measures import embedding, topology
from analysis.measures.embedding import RSquared
from analysis.measures.factorization import (
    Angles,
    additive_share,
    angles,
    clifford_torus,
    score,
    solid_torus,
)
from analysis.measures.pca import Principal, principal
from analysis.measures.topology import Betti, Persistence
from analysis.measures.validation import check, check_labels

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Measures of representations on a grid of labels."""

    labels: Floats
    """Labels of the samples in pixels, shape (samples, 2), x slowest."""

    sides: tuple[int, int]
    """Number of labels along x and along y."""

    period: float | None
    """Period of both labels in pixels; None if the labels are not periodic."""

    principal: Principal
    """Principal components."""

    angles: Angles
    """Angles between displacements."""

    score: float
    """Factorization score, from 0 (coupled) to 1 (factorized)."""

    additive_share: float
    """Share of the variance that has the form f(x) + g(y)."""

    persistence: Persistence
    """Persistence diagrams of a subsample."""

    ideals: Mapping[str, Persistence]
    """Persistence diagrams of the ideal shapes on the same grid: `clifford` and `solid` tori for
    periodic labels, else a flat `sheet`."""

    betti: tuple[Betti, ...]
    """Betti numbers, one per dimension from 0 up."""

    embedding: Floats
    """UMAP embedding in three dimensions, shape (samples, 3)."""

    r_squared: RSquared
    """R-squared of the labels regressed on the embedding."""

    r_squared_pca: RSquared
    """Cross-validated R-squared of the labels regressed on leading principal components: four for
    periodic labels (as an ideal torus needs), else three (as many as the embedding has)."""

    def distance(self, ideal: str, dimension: int) -> float:
        """Return the bottleneck distance to the diagram of an ideal shape.

        Args:
            ideal: A key of `ideals`.
            dimension: Dimension of the holes.

        Returns:
            The distance between both diagrams, each in units of its own scale.
        """
        return topology.distance(self.persistence, self.ideals[ideal], dimension)


def measure(
    points: NDArray[np.floating],
    labels: NDArray[np.floating],
    sides: tuple[int, int],
    *,
    period: float | None = None,
    seed: int = 0,
) -> Measures:
    """Measure representations on a grid of labels.

    Args:
        points: Representations, shape (samples, features); may be memory-mapped.
        labels: Their labels in pixels, shape (samples, 2), x slowest.
        sides: Number of labels along x and along y.
        period: Period of both labels in pixels; None if the labels are not periodic.
        seed: Seed of the subsample, the embedding and the cross-validation.

    Raises:
        ValueError: The labels do not form such a grid, or the representations cannot be measured.
    """
    check(points)
    check_labels(labels, len(points))
    _check_grid(labels, sides)
    components = principal(points)
    # The scores preserve all distances and angles with far fewer features.
    grid = components.scores.reshape(*sides, -1)
    persistence = topology.persistence(components, seed=seed)
    embedded = embedding.embed(components, 3, seed)
    periodic, leading = period is not None, 3 if period is None else 4
    return Measures(
        labels=np.asarray(labels, dtype=np.float64),
        sides=sides,
        period=period,
        principal=components,
        angles=angles(grid, periodic=periodic),
        score=score(grid, periodic=periodic),
        additive_share=additive_share(grid),
        persistence=persistence,
        ideals=_ideals(sides, periodic=periodic, seed=seed),
        betti=topology.betti(persistence),
        embedding=embedded,
        r_squared=embedding.fitted(embedded, labels, period),
        r_squared_pca=embedding.cross_validated(
            components, labels, components=leading, seed=seed, period=period
        ),
    )


@cache
def _ideals(sides: tuple[int, int], *, periodic: bool, seed: int) -> dict[str, Persistence]:
    """Return the diagrams of the ideal shapes; cached, as all steps of a trial share them."""
    if periodic:
        grids = {"clifford": clifford_torus(*sides), "solid": solid_torus(*sides)}
    else:
        grids = {"sheet": np.moveaxis(np.indices(sides), 0, -1) / max(sides)}
    flat = {name: grid.reshape(-1, grid.shape[2]) for name, grid in grids.items()}
    return {name: topology.persistence(points, seed=seed) for name, points in flat.items()}


def _check_grid(labels: NDArray[np.floating], sides: tuple[int, int]) -> None:
    """Check that the labels form a grid of two axes, x slowest."""
    nx, ny = sides
    if nx * ny != len(labels):
        raise ValueError(f"{len(labels)} labels do not form a grid of {nx} x {ny}.")
    grid = labels.reshape(nx, ny, 2)
    if not ((grid[..., 0] == grid[:, :1, 0]).all() and (grid[..., 1] == grid[:1, :, 1]).all()):
        raise ValueError(f"The labels do not lie on a grid of {nx} x {ny}, x slowest.")
