"""Packages whose modules are discovered by name, such as the folders of figures.

A public name has hyphens in place of the underscores of the module name. Modules whose names start
with an underscore are helpers and are not listed.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Generic, TypeVar, cast

from factorlab.errors import suggestion
from factorlab.formatting import listed

Module = TypeVar("Module")


class Folder(Generic[Module]):
    """The modules of a package, which share the interface `Module`.

    Args:
        package: The package's `__name__`.
        path: The package's `__path__`.
        kind: Plural noun for the modules, for messages.
    """

    def __init__(self, package: str, path: Iterable[str], kind: str) -> None:
        self._package, self._path, self._kind = package, path, kind

    def available(self) -> list[str]:
        """Return the names of all modules, sorted, with hyphens for underscores."""
        return sorted(
            module.name.replace("_", "-")
            for module in pkgutil.iter_modules(self._path)
            if not module.name.startswith("_")
        )

    def unknown(self, name: str) -> str:
        """Return the error message for a name that no module has."""
        known = self.available()
        end = suggestion(name, known) or "."
        return f"There is no {name!r} among the {self._kind}: {listed(known)}{end}"

    def load(self, name: str) -> Module:
        """Import and return the module of a name.

        Raises:
            ValueError: There is no module of this name.
        """
        if name not in self.available():
            raise ValueError(self.unknown(name))
        return cast(Module, importlib.import_module(f"{self._package}.{name.replace('-', '_')}"))
