"""Scalar measures of representations: one module per kind, discovered by name.

To add a measure, add a module here with a function `scalars(measures)`. Its argument holds all
measures of one checkpoint (`analysis.measures.checkpoint.Measures`: principal components,
embedding, persistence diagrams, ...). It returns numbers by the names that tables and figures use.
Trials measured afterwards have these numbers in their records and MLflow runs as `<layer>/<name>`.
No other file needs to change. Modules whose names start with an underscore are helpers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from analysis import plugins

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures


class ScalarsModule(Protocol):
    """Interface of the modules in this folder."""

    def scalars(self, measures: Measures) -> Mapping[str, float]:
        """Return finite numbers by name."""
        ...


_FOLDER = plugins.Folder[ScalarsModule](__name__, __path__, "scalar measures")
available = _FOLDER.available
load = _FOLDER.load


def of(measures: Measures) -> dict[str, float]:
    """Return all scalar measures of a checkpoint by name.

    Raises:
        ValueError: Two modules return a number of the same name.
    """
    found: dict[str, float] = {}
    for name in available():
        new = load(name).scalars(measures)
        if twice := found.keys() & new.keys():
            raise ValueError(
                f"analysis/measures/scalars/{name}: another module already returns '{min(twice)}'."
            )
        found |= {key: float(value) for key, value in new.items()}
    return found
