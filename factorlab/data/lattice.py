"""Label lattices, held-out regions on them, and seeded nested subsampling.

All labels are float64 arrays of shape (n, 2), with columns x and y, in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factorlab.config import DataSettings, HeldOut
from factorlab.seeding import Stream, sequence

Labels = NDArray[np.float64]
Mask = NDArray[np.bool_]


def axis(low: float, high: float, spacing: float) -> Labels:
    """Return low, low + spacing, ... up to and including high, shape (n,).

    If the last point differs from `high` only by rounding, it is set to `high`.
    """
    count = int(np.floor((high - low) / spacing + 1e-9)) + 1
    points = low + spacing * np.arange(count, dtype=np.float64)
    if abs(points[-1] - high) < 1e-9:
        points[-1] = high
    return points


def grid(x: Labels, y: Labels) -> Labels:
    """Return all pairs of two axes, shape (len(x) * len(y), 2), x slowest."""
    return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)


def frame_labels(data: DataSettings) -> Labels:
    """Return the lattice of 2D examples: 1 to N with the increments of `data` [W section 2].

    On a periodic image the labels 1 and N + 1 are the same point. The lattice therefore ends one
    increment before N + 1 (our definition).
    """
    axes = [axis(1, data.size + 1 - d if data.periodic else data.size, d) for d in data.spacings]
    return grid(*axes)


def stripe_labels(data: DataSettings) -> Labels:
    """Return the labels with exactly one coordinate inside the frame [F Fig. 9].

    The other coordinate covers the margin of the canvas on both sides. It uses the increment of the
    stripes and starts one increment outside the frame.
    """
    n, d, margin = data.size, data.stripe_spacing, data.canvas_margin
    inside = axis(1, n, d)
    steps = axis(d, margin, d) if d <= margin else np.empty(0)
    outside = np.concatenate([1 - steps[::-1], n + steps])
    return np.concatenate([grid(inside, outside), grid(outside, inside)])


def apart(one: Labels, other: Labels, period: float | None) -> Labels:
    """Return the distance of coordinates in pixels, the shorter way around if they are periodic.

    Args:
        one: Coordinates.
        other: Others, of a shape that broadcasts with that of the first.
        period: Period of the coordinates in pixels; None on a plain frame.
    """
    offset = np.abs(one - other)
    if period is not None:
        offset = np.minimum(offset % period, -offset % period)
    return np.asarray(offset)


def _bands(labels: Labels, region: HeldOut, data: DataSettings) -> Mask:
    """Return which coordinates lie in the band of the region, shape (n, 2)."""
    middle = (1 + data.size) / 2
    if region.place == "exterior":
        return np.asarray(labels >= data.size - region.width)
    centre = np.asarray(region.centre or (middle, middle))
    offset = apart(labels, centre, data.size if data.periodic else None)
    return np.asarray(offset <= region.width / 2 + 1e-9)


def in_gap(stripes: Labels, data: DataSettings) -> Mask:
    """Return which stripes lie in the gap of the data set, shape (n,).

    Their position is the coordinate inside the frame.
    """
    if data.stripe_gap is None:
        return np.zeros(len(stripes), dtype=bool)
    centre = (1 + data.size) / 2 if data.stripe_gap.centre is None else data.stripe_gap.centre
    inside = (stripes >= 1) & (stripes <= data.size)
    near = np.abs(stripes - centre) <= data.stripe_gap.width / 2 + 1e-9
    return np.asarray((inside & near).any(axis=1))


def held_out_mask(labels: Labels, data: DataSettings) -> Mask:
    """Return which labels lie in the held-out region, shape (n,)."""
    region = data.held_out
    if region is None:
        return np.zeros(len(labels), dtype=bool)
    if region.kind == "rim":
        from_rim = np.minimum(labels - 1, data.size - labels).min(axis=1)
        return np.asarray(from_rim > region.width)
    in_x, in_y = _bands(labels, region, data).T
    masks = {"box": in_x & in_y, "cross": in_x | in_y, "lesion": in_x}
    return np.asarray(masks[region.kind])


def regions(labels: Labels, data: DataSettings) -> dict[str, Mask]:
    """Return the named parts of the label plane defined by the held-out region.

    Returns:
        `in_distribution` and `out_of_distribution`; for a cross also `arm_vertical` (x in the band,
        y not), `arm_horizontal` and `intersection` [F Fig. 4]. Empty without a region.
    """
    region = data.held_out
    if region is None:
        return {}
    out = held_out_mask(labels, data)
    parts = {"in_distribution": ~out, "out_of_distribution": out}
    if region.kind == "cross":
        in_x, in_y = _bands(labels, region, data).T
        parts |= {
            "arm_vertical": in_x & ~in_y,
            "arm_horizontal": in_y & ~in_x,
            "intersection": in_x & in_y,
        }
    return parts


def subsample(count: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return the sorted indices of a seeded random share of `count` items.

    The subsets are nested: with the same seed and count, a smaller share gives a subset of a larger
    one (our definition). ``floor(share * count + 1/2)`` items are kept, which may be none.
    """
    order = np.random.default_rng(sequence(seed, Stream.SUBSAMPLE)).permutation(count)
    return np.sort(order[: int(np.floor(share * count + 0.5))])
