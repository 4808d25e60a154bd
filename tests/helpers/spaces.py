"""Spaces of known shape, as noisy points in many dimensions, rotated at random."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import ortho_group

RADIUS = 1.0


def embed(points, dimensions=64, noise=0.0, seed=0):
    """Embed points in many dimensions, rotated at random; noise is the root mean square error."""
    rng = np.random.default_rng(seed)
    wide = np.zeros((len(points), dimensions))
    wide[:, : points.shape[1]] = points
    turned = wide @ ortho_group.rvs(dimensions, random_state=rng)
    return turned + rng.normal(0, noise / np.sqrt(dimensions), turned.shape)


def torus_angles(count, seed):
    return np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, 2))


def clifford_torus(count, seed):
    x, y = torus_angles(count, seed).T
    return np.stack([np.cos(x), np.sin(x), np.cos(y), np.sin(y)], axis=1)


def solid_torus(count, seed):
    """Sample a torus whose tube has half the ring's radius, evenly over its surface."""
    rng = np.random.default_rng(seed)
    x, y, keep = rng.uniform(0, 1, (3, 4 * count))
    x, y = 2 * np.pi * x, 2 * np.pi * y
    radius = 2 + np.cos(y)
    chosen = np.flatnonzero(keep < radius / 3)[:count]
    points = np.stack([radius * np.cos(x), radius * np.sin(x), np.sin(y)], axis=1)
    return points[chosen]


def circle(count, seed):
    x = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(x), np.sin(x)], axis=1)


def sphere(count, seed):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def disc(count, seed):
    rng = np.random.default_rng(seed)
    radius, angle = np.sqrt(rng.uniform(0, 1, count)), rng.uniform(0, 2 * np.pi, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def two_clusters(count, seed):
    """Sample two discs whose centres are four radii apart."""
    points = disc(count, seed)
    points[: count // 2, 0] += 4
    return points


def circular_labels(points):
    """Return the two angles of points on either torus."""
    x = np.arctan2(points[:, 1], points[:, 0])
    if points.shape[1] == 4:
        return np.stack([x, np.arctan2(points[:, 3], points[:, 2])], axis=1)
    tube = np.hypot(points[:, 0], points[:, 1]) - 2
    return np.stack([x, np.arctan2(points[:, 2], tube)], axis=1)


@dataclass(frozen=True, kw_only=True)
class Space:
    """A space with closed forms of its measures."""

    sample: Callable[[int, int], np.ndarray]
    """Draw points evenly, by count and seed."""

    betti: tuple[int, int, int]
    dimension: float
    """Participation ratio of the density."""

    angles: bool = False
    """Its labels are the angles of a torus rather than its first two coordinates."""

    r_squared: tuple[float, float] = (1.0, 1.0)
    """R-squared of linear regressions from all its coordinates to the labels."""

    embedded: tuple[float, float] = (0.0, 0.0)
    """Lower bounds of that after UMAP to three dimensions, below the least of ten seeds."""

    def labels(self, points):
        return circular_labels(points) if self.angles else points[:, :2]

    @property
    def period(self):
        return 2 * np.pi if self.angles else None


SPACES = {
    "clifford torus": Space(
        sample=clifford_torus, betti=(1, 2, 1), dimension=4, angles=True, embedded=(0.3, 0.3)
    ),
    # Variances 11/4, 11/4 and 1/2. The ring's angle is read off as well as its mean radius stands
    # for all, 81/88; of the tube's the sine is read off and the cosine is not, 8/15.
    "torus in space": Space(
        sample=solid_torus,
        betti=(1, 2, 1),
        dimension=36 / 15.375,
        angles=True,
        r_squared=(81 / 88, 8 / 15),
        embedded=(0.85, 0),
    ),
    "circle": Space(sample=circle, betti=(1, 1, 0), dimension=2, embedded=(0.9, 0.9)),
    "sphere": Space(sample=sphere, betti=(1, 0, 1), dimension=3, embedded=(0.8, 0.8)),
    "disc": Space(sample=disc, betti=(1, 0, 0), dimension=2, embedded=(0.85, 0.85)),
    # Variances 4 + 1/4 and 1/4; UMAP turns pieces that have no neighbours in common as it likes.
    "two clusters": Space(
        sample=two_clusters, betti=(2, 0, 0), dimension=20.25 / 18.125, embedded=(0.85, 0)
    ),
}
