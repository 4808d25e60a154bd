"""Packages whose modules are found by their name: what the folders of figures have in common.

A hyphen stands for the underscore of a module's name. Names that start with an underscore are
helpers, and not listed.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Generic, TypeVar, cast

from factorlab.formatting import listed

Module = TypeVar("Module")


class Folder(Generic[Module]):
    """The modules of a package, each of which provides what `Module` says.

    Args:
        package: The package's `__name__`.
        path: The package's `__path__`.
        kind: What its modules are, for messages.
    """

    def __init__(self, package: str, path: Iterable[str], kind: str) -> None:
        self._package, self._path, self._kind = package, path, kind

    def available(self) -> list[str]:
        """Names of all modules, sorted; a hyphen stands for the underscore of a name."""
        return sorted(
            module.name.replace("_", "-")
            for module in pkgutil.iter_modules(self._path)
            if not module.name.startswith("_")
        )

    def unknown(self, name: str) -> str:
        """What to say of a name that no module has."""
        return f"There is no {name!r} among the {self._kind}; there are {listed(self.available())}."

    def load(self, name: str) -> Module:
        """The module of a name.

        Raises:
            ValueError: There is none.
        """
        if name not in self.available():
            raise ValueError(self.unknown(name))
        return cast(Module, importlib.import_module(f"{self._package}.{name.replace('-', '_')}"))
