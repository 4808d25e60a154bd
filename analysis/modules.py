"""Packages whose modules are found by their name: what the folders of figures have in common.

A hyphen stands for the underscore of a module's name. Names that start with an underscore are
helpers, and not listed.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def available(path: Iterable[str]) -> list[str]:
    """Names of all modules of a package, sorted.

    Args:
        path: The package's `__path__`.
    """
    return sorted(
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(path)
        if not module.name.startswith("_")
    )


def load(package: str, path: Iterable[str], name: str) -> ModuleType:
    """Import a module of a package of figures.

    Args:
        package: The package's `__name__`.
        path: The package's `__path__`.
        name: One of the names of `available`.

    Raises:
        ValueError: There is no such figure.
    """
    names = available(path)
    if name not in names:
        raise ValueError(f"There is no figure {name!r}; there are {', '.join(names)}.")
    return importlib.import_module(f"{package}.{name.replace('-', '_')}")
