"""Overlap of two bumps, in the continuum and on pixels.

With `a` and `b` the inverted images of two bumps (dark turned to bright, so that the
background is 0) their overlap is `||sqrt(a * b)||_2 / ||a||_2` ([W] A.5; the text is garbled
there, so this reading of it is our definition). It is 1 for equal images and falls to 0 as the
bumps part.

Where the two kinds differ. Five sigma and more from the border they agree within 1e-7 for sigma of
at least a pixel, and within 3 % at half a pixel. Below that a bump is a handful of pixels, and the
overlap depends on where in their pixels the centres lie: it falls in steps, and the two bumps of
a pair have different norms (`pixel` says how that is made symmetric). At the border the frame cuts
off the outer part of both bumps, and what is left of them is more alike: two bumps 2 sigma apart,
the outer one on the outermost pixels, overlap by 6 % (sigma = 1) and 8 % (sigma = 2) more than in
the middle, in a corner by 8 and 10 % (`factorlab illustrate overlap`).

[W] is arXiv 2402.03305, [F] is arXiv 2408.13256.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from percolation.errors import ParameterError

# Terms of pixel sums that are held at once: bounds the memory of `pixel`, whatever is asked.
_CHUNK = 4_000_000
# An overlap exceeds a threshold if it is larger by this factor.
_CLEARLY = 1 + 1e-9
# Spreads in pixels whose squares are numbers.
_SIGMAS = (1e-100, 1e100)


def check_sigma(sigma: float) -> None:
    """Refuse a spread that is not a positive number of pixels.

    Raises:
        ParameterError: `sigma` is not positive and finite.
    """
    low, high = _SIGMAS
    if not low <= sigma <= high:
        raise ParameterError(
            f"sigma is {sigma}, but it must be a positive number of pixels, {low:g} to {high:g}."
        )


def check_threshold(threshold: float) -> None:
    """Refuse an overlap threshold that would join all bumps, or none.

    Raises:
        ParameterError: `threshold` is not strictly between 0 and 1.
    """
    if not 0 < threshold * _CLEARLY < 1:
        raise ParameterError(f"threshold is {threshold}, but it must lie strictly between 0 and 1.")


def exceeds(overlap: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Whether overlaps exceed a threshold, clearly.

    An overlap within one part in 10^9 of the threshold counts as equal to it, so that the
    rounding of coordinates never decides which sites of a lattice are joined.

    Args:
        overlap: Overlaps, any shape.
        threshold: Overlap, strictly between 0 and 1.

    Returns:
        In the shape of `overlap`.
    """
    return np.asarray(np.asarray(overlap) > threshold * _CLEARLY)


def reach(sigma: float, threshold: float) -> float:
    """Distance in pixels below which the continuum overlap `exceeds` a threshold.

    It is `radius`, less what the rounding of coordinates may add.

    Raises:
        ParameterError: `sigma` or `threshold` is out of its range.
    """
    return radius(sigma, threshold * _CLEARLY)


def continuum(distance: ArrayLike, sigma: float) -> NDArray[np.float64]:
    """Overlap of two bumps on an endless canvas without pixels: `exp(-D^2 / (16 sigma^2))`.

    It is what the definition gives when its sums over pixels become integrals.

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
    """Distance at which the continuum overlap falls to a threshold.

    Two bumps nearer than `R = 4 sigma sqrt(ln(1 / threshold))` overlap by more than `threshold`.

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
    """Logarithm of `S(u) = sum_x exp(-(x - u)^2 / (2 sigma^2))` over the pixels x = 1..N.

    `S(u_x) S(u_y)` is the squared norm of the bump at u. The logarithm is kept because S itself
    underflows for a narrow bump that lies between two pixels.

    Args:
        coordinate: One coordinate u of a centre in pixels, any shape.
        size: Side N of the frame in pixels.
        sigma: Spread in pixels.
        periodic: Whether distances are taken to the nearest copy, modulo N.

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
    """Logarithm of the sum over pixels of two bumps' factors along one axis; all shapes (n,)."""
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
    """Overlap of two bumps as their N x N images have it.

    Divided by the norm of one image the overlap of narrow bumps depends on which of the two is
    named first. We divide by the geometric mean of both norms (our definition), so that

        overlap = sqrt(<a, b> / (||a|| ||b||)),

    which is symmetric, 1 for equal images and never more than 1 (Cauchy-Schwarz).

    No image is ever built. The images are products of a factor in x and a factor in y, and
    `(x - u)^2 + (x - v)^2 = 2 (x - (u + v)/2)^2 + (u - v)^2 / 2`, so that along each axis

        <a, b> = exp(-(u - v)^2 / (8 sigma^2)) S((u + v) / 2),    ||a||^2 = S(u),

    with S of `log_pixel_sum`: the pixel overlap is the continuum overlap times a factor that
    compares the pixels' share of the midpoint with that of the two centres. The cost is
    O(N) for every distinct coordinate and O(1) for every pair. On periodic images, where distances
    are taken modulo N, the sums over the pixels are taken for every pair.

    Args:
        a_center: Centres (x, y) in pixels, shape (..., 2); the first pixel's centre is (1, 1).
        b_center: Centres of the partners, of a shape that broadcasts with `a_center`.
        size: Side N of the frame in pixels.
        sigma: Spread of both bumps in pixels.
        periodic: Whether the images close on themselves, with period N.

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
    # Rounding may leave 1 + 1e-16 for equal images.
    return np.asarray(np.exp(np.minimum(logarithm, 0.0)), dtype=np.float64)


def check_size(size: int) -> None:
    """Refuse a frame without pixels.

    Raises:
        ParameterError: `size` is below 1.
    """
    if size < 1:
        raise ParameterError(f"size is {size}, but a frame needs at least 1 pixel on a side.")


def _centres(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """Centres as floats of shape (..., 2)."""
    centres = np.asarray(value, dtype=np.float64)
    if centres.ndim == 0 or centres.shape[-1] != 2 or not np.isfinite(centres).all():
        raise ParameterError(
            f"{name} has shape {centres.shape}, but it must hold finite pairs (x, y): (..., 2)."
        )
    return centres
