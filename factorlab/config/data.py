"""Settings of a data set."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from factorlab import families
from factorlab.config.base import Pair, Positive, Settings
from factorlab.errors import suggestion
from factorlab.formatting import listed


def _known_family(name: str) -> str:
    if name not in families.families():
        allowed = listed(f"'{family}'" for family in families.families())
        raise ValueError(f"allowed: {allowed}{suggestion(name, families.families())}")
    return name


def _absent(value: object) -> bool:
    """Leave a setting out of keys, so that records from before it was added are still found."""
    return value is None


Family = Annotated[str, AfterValidator(_known_family)]

MOST_LABELS = 1e7
"""Largest number of labels in a lattice; all of them are held in memory (160 MB)."""


class HeldOut(Settings):
    """A region of the label plane whose 2D examples are left out of training.

    `box`, `cross` and `lesion` are built from two bands, ``|x - centre_x| <= width / 2`` and the
    same for y ([F] Figs. 4, 10, 11, 12; [W] Fig. 9).
    """

    kind: Literal["box", "cross", "lesion", "rim"]
    """Shape of the region. `box`: the intersection of both bands; `cross`: their union; `lesion`:
    the x band alone; `rim`: everything except a rim of this width along the frame, so that 2D
    examples exist on the rim only."""

    width: Positive
    """Width of the bands, or of the rim, in pixels."""

    place: Literal["interior", "exterior"] = "interior"
    """Place of a `box`: around `centre`, or in the corner of the largest x and y (our choice)."""

    centre: tuple[float, float] | None = None
    """Centre (x, y) of the bands in pixels. Default: the centre of the frame."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.place == "exterior" and (self.kind != "box" or self.centre is not None):
            raise ValueError("place 'exterior' is allowed only for kind 'box' without a centre")
        if self.kind == "rim" and self.centre is not None:
            raise ValueError("centre is not allowed for kind 'rim'")
        return self


class Gap(Settings):
    """A band of positions at which there are no 1D stripes (our definition)."""

    width: Positive
    """Width of the band in pixels."""

    centre: float | None = None
    """Centre of the band in pixels, in x and in y. Default: the centre of the frame."""


class Arrangement(Settings):
    """A choice of 2D examples by their clusters (our definition; `factorlab.data.arrangement`)."""

    kind: Literal["connected", "fragmented"]
    """`connected`: all examples form one cluster. `fragmented`: the largest holds at most a quarter
    of them. Size and coverage are those of the random subset with the same seed."""

    overlap: float = Field(default=0.5, gt=0, lt=1)
    """Overlap from which two bumps are linked, as in percolation theory."""


class DataSettings(Settings):
    """A data set on a lattice of labels ([F] Figs. 1, 5, 9; [W] section 2)."""

    family: Family = "bump"
    """Data family: the kind of 2D examples, with `+stripes` for all 1D stripes beside them, or
    `+thinned-stripes` for a share `subsample` of the stripes. Kinds are `bump`, `sos` (sums of two
    perpendicular stripes) and any other file of `factorlab/families`. `stripes` has 1D stripes
    alone and is tested on sums of stripes."""

    size: int = Field(default=32, ge=6)
    """Side N of the square image, in pixels."""

    sigma: Positive | Pair = 1.0
    """Spread in pixels, or a pair (x, y). The profile's standard deviation is sqrt(2) sigma."""

    spacing: Positive | Pair = 0.5
    """Increment d of the label lattice in pixels, or a pair (x, y)."""

    subsample: float = Field(default=1.0, gt=0, le=1)
    """Share lambda of the lattice that is kept. It applies to the 2D examples, to the stripes if
    there are only stripes, and to both with `+thinned-stripes`. The set of a smaller share is a
    subset of that of a larger one."""

    periodic: bool = False
    """Whether distances are taken modulo N, so that the label space is a torus ([F] Fig. 2)."""

    stripe_spacing: Positive = 1.0
    """Increment of the 1D stripes' labels, in pixels."""

    margin: float | None = Field(default=None, gt=0)
    """Extent of the label canvas beyond the frame, in pixels. Default: ceil(6 sigma), at least 4
    (our choice; at sigma = 1 this is the margin of 6 pixels in [F])."""

    held_out: HeldOut | None = None
    """Region of labels whose 2D examples are left out of training."""

    stripe_gap: Gap | None = Field(default=None, exclude_if=_absent)
    """Band without stripes, along both axes, so that a range of x and of y is not covered. Part of
    the key only if set."""

    arrangement: Arrangement | None = Field(default=None, exclude_if=_absent)
    """Choose the 2D examples that `subsample` keeps by their clusters. Part of the key only if
    set."""

    @property
    def sigmas(self) -> tuple[float, float]:
        """Spread in x and y, in pixels."""
        return self.sigma if isinstance(self.sigma, tuple) else (self.sigma, self.sigma)

    @property
    def spacings(self) -> tuple[float, float]:
        """Lattice increments in x and y, in pixels."""
        return self.spacing if isinstance(self.spacing, tuple) else (self.spacing, self.spacing)

    @property
    def period(self) -> float | None:
        """Period of both coordinates in pixels; None on a plain frame."""
        return float(self.size) if self.periodic else None

    @property
    def canvas_margin(self) -> float:
        """Extent of the label canvas beyond the frame, in pixels."""
        if self.margin is not None:
            return self.margin
        widest = 6 * max(self.sigmas)
        return max(4, math.ceil(widest)) if math.isfinite(widest) else math.inf

    @model_validator(mode="after")
    def _check(self) -> Self:
        labels = math.prod(self.size / d for d in self.spacings)
        if labels > MOST_LABELS:
            raise ValueError(
                f"spacing {self.spacing} makes a lattice of {labels:.1e} labels at size "
                f"{self.size}; allowed: up to {MOST_LABELS:.0e}"
            )
        stripes = 4 * self.canvas_margin * self.size / self.stripe_spacing / self.stripe_spacing
        if families.has_stripes(self.family) and stripes > MOST_LABELS:
            raise ValueError(
                f"stripe_spacing {self.stripe_spacing} and margin {self.canvas_margin} make "
                f"{stripes:.1e} stripes; allowed: up to {MOST_LABELS:.0e}"
            )
        if self.periodic:
            if families.has_stripes(self.family):
                raise ValueError(
                    f"family '{self.family}' needs labels outside the frame, which periodic images "
                    f"do not have; allowed with periodic: {', '.join(families.available())}"
                )
            for d in self.spacings:
                if abs(self.size / d - round(self.size / d)) > 1e-9:
                    raise ValueError(
                        f"spacing {d} does not divide the period; allowed with periodic: "
                        f"size {self.size} divided by a whole number"
                    )
        if self.stripe_gap is not None and not families.has_stripes(self.family):
            raise ValueError(
                f"stripe_gap needs a family with stripes, and '{self.family}' has none"
            )
        if self.arrangement is not None and (self.periodic or self.family == families.STRIPES):
            raise ValueError("arrangement needs 2D examples on a frame that is not periodic")
        if self.arrangement is not None and isinstance(self.sigma, tuple):
            raise ValueError("arrangement needs round bumps, with one sigma")
        if max(self.spacings) > self.size - 1:
            raise ValueError(
                f"spacing {max(self.spacings)} is wider than the frame; allowed: up to "
                f"{self.size - 1} at size {self.size}"
            )
        return self
