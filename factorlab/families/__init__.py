"""Data families: what 2D examples look like. One module each, found by its name.

To add a data family, add a module here with these names:

- `TITLE`: its name in legends.
- `intensity`: draws the examples.
- `STRIPE`: how dark a single stripe beside them is.
- `READ`: reads the label off an image.
- `VERSION`: raised whenever one of these changes.

The module's name is then a value of `data.family`, alone and followed by `+stripes` or
`+thinned-stripes`. No other file needs a change. Modules whose names start with an underscore are
helpers.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from torch import Tensor

    from factorlab.label_reader import Reader

STRIPES = "stripes"
"""The family of 1D stripes alone, and the suffix after another family: `bump+stripes`."""

THINNED = "thinned-stripes"
"""Suffix after another family: stripes of which the share lambda is kept, like of the 2D examples.
Fig. 5 of [F] can be read in both ways."""

_ALONE = "sos"
"""The family on which a model of stripes alone is tested ([F] Fig. 4)."""


class DataFamily(Protocol):
    """Names that every module of this folder provides."""

    TITLE: str
    """Name of the family in legends."""

    VERSION: int
    """Version of the family. From 2 up it is part of the keys of its trials, so trials of different
    versions have different keys."""

    STRIPE: float
    """Intensity at the centre of a single stripe, in (0, 1]."""

    READ: Reader
    """Label reader for 8-bit images of this family."""

    def intensity(self, along_x: Tensor, along_y: Tensor) -> Tensor:
        """Draw 2D examples.

        Args:
            along_x: Squared distances of the pixels' columns from the label, in units of
                4 sigma_x^2, (B, 1, N).
            along_y: Squared distances of the pixels' rows from the label, in units of 4 sigma_y^2,
                (B, N, 1).

        Returns:
            Intensity of each pixel, from 0 (white) to 1 (black), (B, N, N).
        """
        ...


def available() -> tuple[str, ...]:
    """Return the sorted names of all families of 2D examples, without importing them."""
    modules = pkgutil.iter_modules(__path__)
    return tuple(sorted(m.name for m in modules if not m.name.startswith("_")))


def families() -> tuple[str, ...]:
    """Return the allowed values of `data.family`."""
    names = available()
    return (*names, *(f"{name}+{kind}" for kind in (STRIPES, THINNED) for name in names), STRIPES)


def has_stripes(family: str) -> bool:
    """Return whether the data sets of a family contain 1D stripes."""
    return family.endswith(STRIPES)


def of(family: str) -> DataFamily:
    """Return the module of a family; for stripes alone, that of the family they are tested on."""
    name = _ALONE if family == STRIPES else family.partition("+")[0]
    return cast("DataFamily", importlib.import_module(f"{__name__}.{name}"))


def titles() -> dict[str, str]:
    """Return the name of each family in legends."""
    plain = {name: of(name).TITLE for name in available()}
    kinds = {STRIPES: "stripes", THINNED: "thinned stripes"}
    beside = {
        f"{name}+{kind}": f"{title} + {text}"
        for kind, text in kinds.items()
        for name, title in plain.items()
    }
    return plain | beside | {STRIPES: "Stripes"}
