"""Data families: what 2D examples look like. One module each, found by its name.

To add a data family, add a module here with these names:

- `TITLE`: its name in legends.
- `intensity`: draws the examples.
- `STRIPE`: how dark a single stripe beside them is.
- `READ`: reads the label off an image.
- `VERSION`: raised whenever one of these changes.

The module's name is then a value of `data.family`, alone and followed by `+stripes`. No other file
needs a change. Modules whose names start with an underscore are helpers.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from torch import Tensor

    from factorlab.label_reader import Reader

STRIPES = "stripes"
"""The family of 1D stripes alone, and its suffix beside another family: `bump+stripes`."""

_ALONE = "sos"
"""The family on which a model of stripes alone is tested ([F] Fig. 4)."""


class DataFamily(Protocol):
    """What a module of this folder provides."""

    TITLE: str
    """What legends call it."""

    VERSION: int
    """Part of the keys of its trials from 2 up: those of another version are not the same."""

    STRIPE: float
    """Darkness of a single stripe in its middle, in (0, 1]."""

    READ: Reader
    """Reads the label off an 8-bit image."""

    def intensity(self, along_x: Tensor, along_y: Tensor) -> Tensor:
        """Draw 2D examples.

        Args:
            along_x: Squared distances of the pixels' columns from the label, in units of
                4 sigma_x^2, (B, 1, N).
            along_y: Those of the rows, (B, N, 1).

        Returns:
            Darkness of each pixel in [0, 1], (B, N, N).
        """
        ...


def available() -> tuple[str, ...]:
    """Return the names of all families of 2D examples, sorted; none is imported."""
    modules = pkgutil.iter_modules(__path__)
    return tuple(sorted(m.name for m in modules if not m.name.startswith("_")))


def families() -> tuple[str, ...]:
    """Return the values that `data.family` can have."""
    names = available()
    return (*names, *(f"{name}+{STRIPES}" for name in names), STRIPES)


def of(family: str) -> DataFamily:
    """Return the module of a family; stripes alone are tested on sums of stripes."""
    name = _ALONE if family == STRIPES else family.removesuffix(f"+{STRIPES}")
    return cast("DataFamily", importlib.import_module(f"{__name__}.{name}"))


def titles() -> dict[str, str]:
    """Return what legends call each family."""
    plain = {name: of(name).TITLE for name in available()}
    beside = {f"{name}+{STRIPES}": f"{title} + {STRIPES}" for name, title in plain.items()}
    return plain | beside | {STRIPES: STRIPES.capitalize()}
