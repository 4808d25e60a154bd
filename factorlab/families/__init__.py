"""What 2D examples look like: one module each, found by its name.

To add a data-set family, add a module here. It has a `TITLE`, for legends; `darkness`, which draws;
`STRIPE`, how dark a single stripe beside it is; `READ`, which reads the label off an image; and
`VERSION`, to be raised whenever one of these changes. Its name is then a value of `data.family`,
and with `+stripes` behind it another. Nothing else is to be touched. Names that start with an
underscore are helpers.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from torch import Tensor

    from factorlab.label_reader import Reader

STRIPES = "stripes"
"""The family of 1D stripes alone, and what it is called beside a look: `bump+stripes`."""

_ALONE = "sos"
"""The look on which a model of stripes alone is tested ([F] Fig. 4)."""


class Look(Protocol):
    """What a module of this folder provides."""

    TITLE: str
    """What legends call it."""

    VERSION: int
    """Part of the keys of its trials from 2 up: those of another version are not the same."""

    STRIPE: float
    """Darkness of a single stripe in its middle, in (0, 1]."""

    READ: Reader
    """Reads the label off an 8-bit image."""

    def darkness(self, along_x: Tensor, along_y: Tensor) -> Tensor:
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
    """Return the names of all looks, sorted; none is imported."""
    modules = pkgutil.iter_modules(__path__)
    return tuple(sorted(m.name for m in modules if not m.name.startswith("_")))


def families() -> tuple[str, ...]:
    """Return the values that `data.family` can have."""
    looks = available()
    return (*looks, *(f"{look}+{STRIPES}" for look in looks), STRIPES)


def of(family: str) -> Look:
    """Return how the 2D examples of a family look; stripes alone are tested on sums of stripes."""
    name = _ALONE if family == STRIPES else family.removesuffix(f"+{STRIPES}")
    return cast("Look", importlib.import_module(f"{__name__}.{name}"))


def titles() -> dict[str, str]:
    """Return what legends call each family."""
    plain = {name: of(name).TITLE for name in available()}
    beside = {f"{name}+{STRIPES}": f"{title} + {STRIPES}" for name, title in plain.items()}
    return plain | beside | {STRIPES: STRIPES.capitalize()}
