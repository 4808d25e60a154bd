"""Whether a representation keeps x and y apart: angles between displacements ([F] Figs 3, 8).

With Z[i, j] the representation of label (x_i, y_j), dX[i, j] = Z[i + s, j] - Z[i, j] is its
displacement along x over a stride of s, and dY likewise. Of these, over all indices (definitions
ours; the papers' text is not public):

- orthogonality: |cos| of two displacements. `x-on-y`: of dX[i, j] and dY[k, l]; 0 where x and y
  use orthogonal subspaces. `x-on-x`: of dX[i, j] and dX[k, j], k != i; small where different
  values of x use different directions. `y-on-y` likewise.
- parallelism: cos of two displacements. `x-on-y`: of dX[i, j] and dX[i, l], l != j; 1 where what x
  does is independent of y. `y-on-x` likewise. `x-on-x`: as `x-on-y`, of neighbours l = j + 1 alone,
  so that it tells how smooth the representation is. `y-on-y` likewise.

Two ideal tori stand beside a model: the Clifford torus in four dimensions, a circle for x and one
for y (factorized), and the torus in three dimensions, where what y does turns with x (coupled).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.measures.pca import principal
from analysis.measures.validation import centred

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Angles:
    """Cosines between displacements, each a distribution by its name."""

    orthogonality: dict[str, Floats]
    """`x-on-y`, `x-on-x`, `y-on-y`: values in [0, 1]."""

    parallelism: dict[str, Floats]
    """`x-on-y`, `y-on-x`, `x-on-x`, `y-on-y`: values in [-1, 1]."""


def clifford_torus(nx: int, ny: int) -> Floats:
    """A factorized torus: (cos x, sin x, cos y, sin y) on a grid of angles, (nx, ny, 4)."""
    x, y = _circles(nx, ny)
    return np.stack([np.cos(x), np.sin(x), np.cos(y), np.sin(y)], axis=-1)


def solid_torus(nx: int, ny: int, ratio: float = 0.5) -> Floats:
    """A coupled torus: the surface of a ring in space on a grid of angles, (nx, ny, 3).

    Args:
        nx: Angles along the ring.
        ny: Angles around its tube.
        ratio: Radius of the tube over that of the ring, below one.
    """
    x, y = _circles(nx, ny)
    radius = 1 + ratio * np.cos(y)
    return np.stack([radius * np.cos(x), radius * np.sin(x), ratio * np.sin(y)], axis=-1)


def angles(grid: NDArray[np.floating], *, stride: int = 1, periodic: bool = False) -> Angles:
    """Angles between the displacements of a representation.

    Args:
        grid: Representations on a grid of labels, (nx, ny, features).
        stride: Steps of the grid that a displacement spans.
        periodic: Whether the grid closes upon itself, as the labels of periodic images do.

    Raises:
        ValueError: The grid is too small, two representations that a displacement joins are the
            same, or one is not finite.
    """
    _check(grid, stride)
    points = grid.reshape(-1, grid.shape[2])
    # Both keep all angles; components are no more than samples.
    wide = points.shape[1] > len(points)
    z = principal(points).scores if wide else np.concatenate([*centred(points)], axis=1)
    z = z.reshape(*grid.shape[:2], -1)
    dx = _displacements(z, stride, periodic=periodic)
    dy = _displacements(z.swapaxes(0, 1), stride, periodic=periodic)  # (y, x, features)
    across = np.abs(dx.reshape(-1, dx.shape[2]) @ dy.reshape(-1, dy.shape[2]).T)
    return Angles(
        orthogonality={
            "x-on-y": across.ravel(),
            "x-on-x": np.abs(_others(dx.swapaxes(0, 1))),
            "y-on-y": np.abs(_others(dy.swapaxes(0, 1))),
        },
        parallelism={
            "x-on-y": _others(dx),
            "y-on-x": _others(dy),
            "x-on-x": _neighbours(dx),
            "y-on-y": _neighbours(dy),
        },
    )


def score(
    grid: NDArray[np.floating], *, stride: int | None = None, periodic: bool = False
) -> float:
    """How factorized a representation is, from 0 (coupled) to 1 (our definition).

    (1 - o / o') p, no factor below 0: o is the mean `x-on-y` orthogonality, o' that of the coupled
    torus on the same grid, p the lesser of the two mean parallelisms across. On the two ideals it
    is 0 and 1; a representation without structure, or of one label alone, scores 0 by p.

    Args:
        grid: Representations on a grid of labels, (nx, ny, features).
        stride: Steps of the grid that a displacement spans; by default a quarter of the shorter
            side, so that noise between neighbours counts for less.
        periodic: Whether the grid closes upon itself.

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
        raise ValueError(f"The grid has the shape {grid.shape}; needed: (nx, ny, features).")
    if min(grid.shape[:2]) < stride + 2:
        raise ValueError(
            f"The grid has {grid.shape[0]} x {grid.shape[1]} labels; displacements over "
            f"{stride} need at least {stride + 2} along each side."
        )


def _displacements(z: Floats, stride: int, *, periodic: bool) -> Floats:
    """Directions of the displacements along the first axis, of length one."""
    found = np.roll(z, -stride, axis=0) - z
    found = found if periodic else found[:-stride]
    lengths = np.linalg.norm(found, axis=2, keepdims=True)
    if (lengths == 0).any():
        raise ValueError("Two labels of the grid have the same representation.")
    directions: Floats = found / lengths
    return directions


def _others(directions: Floats) -> Floats:
    """Cosines between all pairs along the second axis, each pair once."""
    cosines = directions @ directions.swapaxes(1, 2)
    rows, columns = np.triu_indices(directions.shape[1], 1)
    return cosines[:, rows, columns].ravel()


def _neighbours(directions: Floats) -> Floats:
    """Cosines between neighbours along the second axis."""
    cosines: Floats = np.einsum("ijf,ijf->ij", directions[:, 1:], directions[:, :-1])
    return cosines.ravel()


def _mean(values: Floats) -> float:
    return float(values.mean())
