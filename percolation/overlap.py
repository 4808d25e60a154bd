"""Overlap of two bumps, in the continuum and on pixels.

Let `a` and `b` be the inverted images of two bumps (dark turned to bright, so the background is
0). Their overlap is `||sqrt(a * b)||_2 / ||a||_2` ([W] A.5; the text there is garbled, so this
reading is our definition). It is 1 for equal images and falls to 0 as the bumps move apart.

The continuum and pixel overlaps differ in two cases:

- Narrow bumps. At least five sigma from the border, both agree within 1e-7 if sigma is at least
  one pixel, and within 3 % at half a pixel. A narrower bump covers only a few pixels. The pixel
  overlap then depends on the sub-pixel positions of the centres and decreases in steps, and the
  two bumps of a pair have different norms (`pixel` symmetrises this).
- Bumps at the border. The frame cuts off the outer parts of both bumps; the remaining parts are
  more alike. For two bumps 2 sigma apart, the outer one on the outermost pixels, the overlap is 6 %
  (sigma = 1) and 8 % (sigma = 2) larger than in the middle; in a corner it is 8 % and 10 % larger
  (`factorlab illustrate overlap`).

[W] is arXiv 2402.03305, [F] is arXiv 2408.13256.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from percolation.errors import ParameterError

# Terms of pixel sums held in memory at once; bounds the memory of `pixel`.
_CHUNK = 4_000_000
# An overlap exceeds a threshold if it is larger by more than this factor.
_CLEARLY = 1 + 1e-9
# Range of spreads in pixels whose squares neither overflow nor underflow.
_SIGMAS = (1e-100, 1e100)


def check_sigma(sigma: float) -> None:
    """Check that a spread is a positive number of pixels.

    Raises:
        ParameterError: `sigma` is outside [1e-100, 1e100].
    """
    low, high = _SIGMAS
    if not low <= sigma <= high:
        raise ParameterError(
            f"sigma is {sigma}, but it must be a positive number of pixels, {low:g} to {high:g}."
        )


def check_threshold(threshold: float) -> None:
    """Check that an overlap threshold links neither all bumps nor none.

    Raises:
        ParameterError: `threshold` is not strictly between 0 and 1.
    """
    if not 0 < threshold * _CLEARLY < 1:
        raise ParameterError(f"threshold is {threshold}, but it must lie strictly between 0 and 1.")


def exceeds(overlap: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Test whether overlaps exceed a threshold, with a tolerance for rounding.

    An overlap within one part in 10^9 of the threshold counts as equal to it, so that the
    rounding of coordinates never decides which sites of a lattice are linked.

    Args:
        overlap: Overlaps, any shape.
        threshold: Overlap, strictly between 0 and 1.

    Returns:
        Booleans, in the shape of `overlap`.
    """
    return np.asarray(np.asarray(overlap) > threshold * _CLEARLY)


def reach(sigma: float, threshold: float) -> float:
    """Return the distance in pixels below which the continuum overlap `exceeds` a threshold.

    It is `radius` with the rounding tolerance of `exceeds`.

    Raises:
        ParameterError: `sigma` or `threshold` is out of its range.
    """
    return radius(sigma, threshold * _CLEARLY)


def continuum(distance: ArrayLike, sigma: float) -> NDArray[np.float64]:
    """Compute the overlap on an infinite canvas without pixels, `exp(-D^2 / (16 sigma^2))`.

    This is the definition with integrals in place of sums over pixels.

    Args:
        distance: Distance D of the two centres in pixels, any shape.
        sigma: Spread of both bumps in pixels; the profile is `exp(-r^2 / (4 sigma^2))`.

    Returns:
        The overlap in [0, 1], in the shape of `distance`.

    Raises:
        ParameterError: `sigma` is not positive and finite.
    """
    check_sigma(sigma)
    return np.exp(-((np.asarray(distance, dtype=np.float64) / (4 * sigma)) ** 2))


def radius(sigma: float, threshold: float) -> float:
    """Return the distance at which the continuum overlap equals a threshold.

    Two bumps closer than `R = 4 sigma sqrt(ln(1 / threshold))` overlap by more than `threshold`.

    Args:
        sigma: Spread of both bumps in pixels.
        threshold: Overlap, strictly between 0 and 1.

    Returns:
        The distance R in pixels.

    Raises:
        ParameterError: `sigma` is not positive and finite, or `threshold` is outside (0, 1).
    """
    check_sigma(sigma)
    check_threshold(threshold)
    return 4 * sigma * math.sqrt(-math.log(threshold))


def log_pixel_sum(
    coordinate: ArrayLike, size: int, sigma: float, *, periodic: bool = False
) -> NDArray[np.float64]:
    """Compute `log S(u)`, `S(u) = sum_x exp(-(x - u)^2 / (2 sigma^2))` over pixels x = 1..N.

    `S(u_x) S(u_y)` is the squared norm of the bump at u. The logarithm is returned because S
    itself underflows for a narrow bump between two pixels.

    Args:
        coordinate: One coordinate u of a centre in pixels, any shape.
        size: Side N of the frame in pixels.
        sigma: Spread in pixels.
        periodic: Whether distances are to the nearest periodic copy, modulo N.

    Returns:
        `log S(u)`, in the shape of `coordinate`.
    """
    flat = np.asarray(coordinate, dtype=np.float64).ravel()
    values, inverse = np.unique(flat, return_inverse=True)  # centres on a lattice share values
    sums = _log_product(values, values, size, sigma, periodic=periodic)
    return sums[inverse].reshape(np.shape(coordinate))


def _log_product(
    u: NDArray[np.float64], v: NDArray[np.float64], size: int, sigma: float, *, periodic: bool
) -> NDArray[np.float64]:
    """Compute the log of the sum over pixels of two bumps' factors along one axis; shapes (n,)."""
    pixels = np.arange(1, size + 1, dtype=np.float64)
    sums = np.empty_like(u)
    chunk = max(1, _CHUNK // size)
    for start in range(0, len(u), chunk):
        apart = pixels - np.stack([u, v])[:, start : start + chunk, None]  # (2, chunk, N)
        if periodic:
            apart -= size * np.round(apart / size)
        sums[start : start + chunk] = logsumexp(-((apart / (2 * sigma)) ** 2).sum(axis=0), axis=1)
    return sums


def pixel(
    a_center: ArrayLike,
    b_center: ArrayLike,
    size: int,
    sigma: float,
    *,
    periodic: bool = False,
) -> NDArray[np.float64]:
    """Compute the overlap of two bumps as N x N images.

    With the norm of one image as denominator, the overlap of narrow bumps would depend on their
    order. We divide by the geometric mean of both norms (our definition):

        overlap = sqrt(<a, b> / (||a|| ||b||)).

    This is symmetric, 1 for equal images and at most 1 (Cauchy-Schwarz).

    No image is built. An image is the product of a factor in x and a factor in y, and
    `(x - u)^2 + (x - v)^2 = 2 (x - (u + v)/2)^2 + (u - v)^2 / 2`. Along each axis, therefore,

        <a, b> = exp(-(u - v)^2 / (8 sigma^2)) S((u + v) / 2),    ||a||^2 = S(u),

    with S of `log_pixel_sum`. The pixel overlap is the continuum overlap times a factor that
    compares S at the midpoint with S at both centres. The cost is O(N) per distinct coordinate
    and O(1) per pair. For periodic images distances are modulo N, and the sum over the pixels is
    computed for every pair.

    Args:
        a_center: Centres (x, y) in pixels, shape (..., 2). The first pixel has its centre at
            (1, 1).
        b_center: Centres of the partners, of a shape that broadcasts with `a_center`.
        size: Side N of the frame in pixels.
        sigma: Spread of both bumps in pixels.
        periodic: Whether the images are periodic, with period N.

    Returns:
        The overlap in [0, 1] of every pair, shape (...).

    Raises:
        ParameterError: `sigma` is not positive and finite, `size` is below 1, or a centre does not
            have two finite coordinates.
    """
    check_sigma(sigma)
    check_size(size)
    a = _centres(a_center, "a_center")
    b = _centres(b_center, "b_center")
    if periodic:
        u, v = np.broadcast_arrays(a, b)
        both = _log_product(u.ravel(), v.ravel(), size, sigma, periodic=True)
        inner = both.reshape(u.shape).sum(axis=-1)  # log <a, b>, shape (...)
    else:
        squared = ((a - b) ** 2).sum(axis=-1)  # (...)
        inner = -squared / (8 * sigma**2) + log_pixel_sum((a + b) / 2, size, sigma).sum(axis=-1)
    norms = sum(log_pixel_sum(c, size, sigma, periodic=periodic).sum(axis=-1) for c in (a, b))
    logarithm = inner / 2 - norms / 4
    # Rounding may give 1 + 1e-16 for equal images.
    return np.asarray(np.exp(np.minimum(logarithm, 0.0)), dtype=np.float64)


def check_size(size: int) -> None:
    """Check that a frame has at least one pixel.

    Raises:
        ParameterError: `size` is below 1.
    """
    if size < 1:
        raise ParameterError(f"size is {size}, but a frame needs at least 1 pixel on a side.")


def _centres(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """Convert centres to floats of shape (..., 2)."""
    centres = np.asarray(value, dtype=np.float64)
    if centres.ndim == 0 or centres.shape[-1] != 2 or not np.isfinite(centres).all():
        raise ParameterError(
            f"{name} has shape {centres.shape}, but it must hold finite pairs (x, y): (..., 2)."
        )
    return centres
