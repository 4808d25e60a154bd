"""The measures of representations that are one number each: one module a kind, found by its name.

To add a measure, add a module here with `scalars(measures)`, which gets what was measured of one
checkpoint (`analysis.measures.checkpoint.Measures`: principal components, embedding, holes, ...)
and returns numbers by the names that tables and figures use. Trials that are measured from then on
have them in their records and MLflow runs, as `<layer>/<name>`. No other file needs a change.
Modules whose names start with an underscore are helpers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from analysis import plugins

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


class ScalarsModule(Protocol):
    """What a module of this folder provides."""

    def scalars(self, measures: Measures) -> Mapping[str, float]:
        """Return the numbers by name, finite."""
        ...


_FOLDER = plugins.Folder[ScalarsModule](__name__, __path__, "scalar measures")
available = _FOLDER.available
load = _FOLDER.load


def of(measures: Measures) -> dict[str, float]:
    """Return all numbers of a checkpoint.

    Raises:
        ValueError: Two modules have a number of the same name.
    """
    found: dict[str, float] = {}
    for name in available():
        new = load(name).scalars(measures)
        if twice := found.keys() & new.keys():
            raise ValueError(
                f"analysis/measures/scalars/{name}: '{min(twice)}' is another module's too."
            )
        found |= {key: float(value) for key, value in new.items()}
    return found
