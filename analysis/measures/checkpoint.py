"""All measures of one checkpoint's representations: what figures and tables are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.measures import embedding, topology
from analysis.measures.embedding import RSquared
from analysis.measures.factorization import Angles, angles, clifford_torus, score, solid_torus
from analysis.measures.pca import Principal, principal
from analysis.measures.topology import Betti, Persistence
from analysis.measures.validation import check, check_labels

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What was measured of representations on a grid of labels."""

    labels: Floats
    """(samples, 2), in pixels, x slowest."""

    sides: tuple[int, int]
    """Labels along x and along y."""

    period: float | None
    """Of both labels in pixels, where they close upon themselves."""

    principal: Principal
    """Principal components."""

    angles: Angles
    """Angles between displacements."""

    score: float
    """From coupled (0) to factorized (1)."""

    persistence: Persistence
    """Holes of a subsample."""

    ideals: Mapping[str, Persistence]
    """Holes of the ideals on the same grid: `clifford` and `solid` tori, or a flat `sheet` where
    the labels are open."""

    betti: tuple[Betti, ...]
    """Betti numbers from dimension 0 up."""

    embedding: Floats
    """In three dimensions by UMAP, (samples, 3)."""

    r_squared: RSquared
    """Of the labels from the embedding."""

    r_squared_pca: RSquared
    """Of the labels from as many leading principal components as an ideal needs, cross-validated:
    four where the labels close, else three, as the embedding has."""

    def distance(self, ideal: str, dimension: int) -> float:
        """Bottleneck distance to an ideal's diagram of a dimension, in shares of the scales."""
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
        points: Representations, (samples, features); may be mapped from disk.
        labels: Their labels, (samples, 2), x slowest, in pixels.
        sides: Labels along x and along y.
        period: Of both labels in pixels, where they close upon themselves.
        seed: Of the subsample, the embedding and the cross-validation.

    Raises:
        ValueError: The labels are no such grid, or the representations cannot be measured.
    """
    check(points)
    check_labels(labels, len(points))
    _check_grid(labels, sides)
    components = principal(points)
    # They keep all distances and angles, with far fewer features.
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
    """Holes of the ideals, which are the same for all steps of a trial."""
    if periodic:
        grids = {"clifford": clifford_torus(*sides), "solid": solid_torus(*sides)}
    else:
        grids = {"sheet": np.moveaxis(np.indices(sides), 0, -1) / max(sides)}
    flat = {name: grid.reshape(-1, grid.shape[2]) for name, grid in grids.items()}
    return {name: topology.persistence(points, seed=seed) for name, points in flat.items()}


def _check_grid(labels: NDArray[np.floating], sides: tuple[int, int]) -> None:
    """Refuse labels that are not a grid of two axes, x slowest."""
    nx, ny = sides
    if nx * ny != len(labels):
        raise ValueError(f"{len(labels)} labels are no grid of {nx} x {ny}.")
    grid = labels.reshape(nx, ny, 2)
    if not ((grid[..., 0] == grid[:, :1, 0]).all() and (grid[..., 1] == grid[:1, :, 1]).all()):
        raise ValueError(f"The labels do not lie on a grid of {nx} x {ny}, x slowest.")
