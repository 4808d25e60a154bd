"""Spaces whose shape is known, as points in many dimensions, turned at random and noisy."""

import numpy as np
from scipy.stats import ortho_group

RADIUS = 1.0


def embed(points, dimensions=64, noise=0.0, seed=0):
    """Points in many dimensions, turned at random; noise is the expected length of the error."""
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
    """A ring with a tube of half its radius, sampled evenly over its surface."""
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
    """Two discs, their centres four radii apart."""
    points = disc(count, seed)
    points[: count // 2, 0] += 4
    return points


SPACES = {
    "clifford torus": (clifford_torus, (1, 2, 1)),
    "torus in space": (solid_torus, (1, 2, 1)),
    "circle": (circle, (1, 1, 0)),
    "sphere": (sphere, (1, 0, 1)),
    "disc": (disc, (1, 0, 0)),
    "two clusters": (two_clusters, (2, 0, 0)),
}
