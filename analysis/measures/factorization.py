"""Factorization of representations: angles between displacements ([F] Figs 3, 8).

Let Z[i, j] be the representation of label (x_i, y_j). Its displacement along x over a stride of s
is dX[i, j] = Z[i + s, j] - Z[i, j]; dY is defined likewise. Three kinds of angles are computed over
all indices (definitions ours: [F], arXiv 2408.13256, was implemented from its captions):

- orthogonality: |cos| of two displacements. `x-on-y`: dX[i, j] and dY[k, l]; 0 if x and y use
  orthogonal subspaces. `x-on-x`: dX[i, j] and dX[k, j], k != i; small if different values of x use
  different directions. `y-on-y` likewise.
- parallelism: cos of two displacements. `x-on-y`: dX[i, j] and dX[i, l], l != j; 1 if the effect
  of x does not depend on y. `y-on-x` likewise. `x-on-x`: as `x-on-y`, but for neighbours l = j + 1
  only, so it measures the smoothness of the representation. `y-on-y` likewise. It is close to 1
  for any smooth code.
- alignment: cos of two displacements along the same label. `x-on-x`: dX[i, j] and dX[k, j], k != i;
  1 if all values of x use one direction, 0 if they use different ones (hyper-factorized), and below
  0 if x runs around a circle. `y-on-y` likewise.

Two ideal tori serve as references. The Clifford torus in four dimensions has one circle for x and
one for y (factorized). In the torus in three dimensions, the direction of y rotates with x
(coupled).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.measures.pca import principal
from analysis.measures.validation import centred

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Angles:
    """Distributions of cosines between displacements, by name."""

    orthogonality: dict[str, Floats]
    """`x-on-y`, `x-on-x` and `y-on-y`: values in [0, 1], shape (pairs,)."""

    parallelism: dict[str, Floats]
    """`x-on-y`, `y-on-x`, `x-on-x` and `y-on-y`: values in [-1, 1], shape (pairs,)."""

    alignment: dict[str, Floats]
    """`x-on-x` and `y-on-y`: values in [-1, 1], shape (pairs,)."""


def clifford_torus(nx: int, ny: int) -> Floats:
    """Return a factorized torus, (cos x, sin x, cos y, sin y) on a grid of angles.

    Args:
        nx: Number of angles x.
        ny: Number of angles y.

    Returns:
        Points, shape (nx, ny, 4).
    """
    x, y = _circles(nx, ny)
    return np.stack([np.cos(x), np.sin(x), np.cos(y), np.sin(y)], axis=-1)


def solid_torus(nx: int, ny: int, ratio: float = 0.5) -> Floats:
    """Return a coupled torus, the surface of a ring in three dimensions, on a grid of angles.

    Args:
        nx: Number of angles along the ring.
        ny: Number of angles around its tube.
        ratio: Ratio of the tube radius to the ring radius, below 1.

    Returns:
        Points, shape (nx, ny, 3).
    """
    x, y = _circles(nx, ny)
    radius = 1 + ratio * np.cos(y)
    return np.stack([radius * np.cos(x), radius * np.sin(x), ratio * np.sin(y)], axis=-1)


def angles(grid: NDArray[np.floating], *, stride: int = 1, periodic: bool = False) -> Angles:
    """Compute the angles between the displacements of a representation.

    Args:
        grid: Representations on a grid of labels, shape (nx, ny, features).
        stride: Length of a displacement in grid steps.
        periodic: Whether the grid is periodic, as for the labels of periodic images.

    Raises:
        ValueError: The grid is too small, a displacement has length 0, or a value is not finite.
    """
    _check(grid, stride)
    points = grid.reshape(-1, grid.shape[2])
    # Both preserve all angles. PCA scores have at most as many columns as there are samples.
    wide = points.shape[1] > len(points)
    z = principal(points).scores if wide else np.concatenate([*centred(points)], axis=1)
    z = z.reshape(*grid.shape[:2], -1)
    dx = _displacements(z, stride, periodic=periodic)
    dy = _displacements(z.swapaxes(0, 1), stride, periodic=periodic)  # (y, x, features)
    across = np.abs(dx.reshape(-1, dx.shape[2]) @ dy.reshape(-1, dy.shape[2]).T)
    along = {"x-on-x": _others(dx.swapaxes(0, 1)), "y-on-y": _others(dy.swapaxes(0, 1))}
    return Angles(
        orthogonality={
            "x-on-y": across.ravel(),
            **{name: np.abs(cosines) for name, cosines in along.items()},
        },
        parallelism={
            "x-on-y": _others(dx),
            "y-on-x": _others(dy),
            "x-on-x": _neighbours(dx),
            "y-on-y": _neighbours(dy),
        },
        alignment=along,
    )


def additive_share(grid: NDArray[np.floating]) -> float:
    """Return the share of the variance of a representation that has the form f(x) + g(y).

    It is 1 if the effect of each label does not depend on the other, as for sums of stripes and for
    the Clifford torus, and ``(1 + r^2 / 2) / (1 + r^2)`` for the coupled torus of ratio r. Without
    any structure it is ``(nx + ny - 2) / (nx ny - 1)`` on average. The measure is our definition.

    Args:
        grid: Representations on a grid of labels, shape (nx, ny, features).

    Raises:
        ValueError: The grid is too small, has no variance, or a value is not finite.
    """
    _check(grid, 1)
    points = grid.reshape(-1, grid.shape[2])
    z = np.concatenate([*centred(points)], axis=1).reshape(grid.shape)
    nx, ny = grid.shape[:2]
    additive = ny * (z.mean(axis=1) ** 2).sum() + nx * (z.mean(axis=0) ** 2).sum()
    return float(additive / (z**2).sum())


def linear_cka(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the linear centred kernel alignment of two representations of the same samples.

    It is 1 if they are equal up to rotation, scale and translation, and 0 if every feature of one
    is uncorrelated with every feature of the other (Kornblith et al. 2019, arXiv 1905.00414,
    section 3).

    Args:
        one: A representation, shape (samples, features).
        other: Another one, shape (samples, other features).

    Raises:
        ValueError: A representation has no variance, or a value is not finite.
    """
    a, b = (np.concatenate([*centred(points)], axis=1) for points in (one, other))
    # Of samples, not of features, which are many more.
    first, second = a @ a.T, b @ b.T
    return float((first * second).sum() / (np.linalg.norm(first) * np.linalg.norm(second)))


def score(
    grid: NDArray[np.floating], *, stride: int | None = None, periodic: bool = False
) -> float:
    """Compute the factorization score, from 0 (coupled) to 1 (factorized); our definition.

    The score is max(1 - o / o', 0) * max(p, 0). Here o is the mean `x-on-y` orthogonality, o' that
    of the coupled torus on the same grid, and p the smaller of the mean `x-on-y` and `y-on-x`
    parallelisms. The coupled torus scores 0 and the Clifford torus 1. A representation that has no
    structure, or depends on one label only, scores 0 because p is 0.

    Args:
        grid: Representations on a grid of labels, shape (nx, ny, features).
        stride: Length of a displacement in grid steps. The default is a quarter of the shorter
            side, which reduces the effect of noise between neighbours.
        periodic: Whether the grid is periodic.

    Raises:
        ValueError: As `angles`.
    """
    if stride is None:
        stride = max(1, min(grid.shape[:2]) // 4)
    found = angles(grid, stride=stride, periodic=periodic)
    coupled = angles(solid_torus(*grid.shape[:2]), stride=stride, periodic=periodic)
    apart = 1 - _mean(found.orthogonality["x-on-y"]) / _mean(coupled.orthogonality["x-on-y"])
    parallel = min(_mean(found.parallelism[name]) for name in ("x-on-y", "y-on-x"))
    return float(max(apart, 0.0) * max(parallel, 0.0))


def _circles(nx: int, ny: int) -> tuple[Floats, Floats]:
    x = 2 * np.pi * np.arange(nx) / nx
    y = 2 * np.pi * np.arange(ny) / ny
    return np.broadcast_to(x[:, None], (nx, ny)), np.broadcast_to(y, (nx, ny))


def _check(grid: NDArray[np.floating], stride: int) -> None:
    if grid.ndim != 3:
        raise ValueError(f"The grid has shape {grid.shape}; expected (nx, ny, features).")
    if min(grid.shape[:2]) < stride + 2:
        raise ValueError(
            f"The grid has {grid.shape[0]} x {grid.shape[1]} labels; a stride of {stride} needs "
            f"at least {stride + 2} along each side."
        )


def _displacements(z: Floats, stride: int, *, periodic: bool) -> Floats:
    """Return the displacements along the first axis, normalised to length 1."""
    found = np.roll(z, -stride, axis=0) - z
    found = found if periodic else found[:-stride]
    lengths = np.linalg.norm(found, axis=2, keepdims=True)
    if (lengths == 0).any():
        raise ValueError("Two labels of the grid have the same representation.")
    directions: Floats = found / lengths
    return directions


def _others(directions: Floats) -> Floats:
    """Return the cosines between all pairs along the second axis, each pair once."""
    cosines = directions @ directions.swapaxes(1, 2)
    rows, columns = np.triu_indices(directions.shape[1], 1)
    return cosines[:, rows, columns].ravel()


def _neighbours(directions: Floats) -> Floats:
    """Return the cosines between neighbours along the second axis."""
    cosines: Floats = np.einsum("ijf,ijf->ij", directions[:, 1:], directions[:, :-1])
    return cosines.ravel()


def _mean(values: Floats) -> float:
    return float(values.mean())
