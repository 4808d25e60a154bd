"""The project's source files, as this process imported them.

All files are read when this module is first imported, which is when a process starts. A module
imported later is recorded with the content of its file when the import is first noticed.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factorlab.errors import UserError
from factorlab.storage.files import canonical

PACKAGES = ("analysis", "factorlab", "percolation", "sweeps")
"""All packages of the project, in one folder."""

TRAINING = ("factorlab", "sweeps")
"""The packages that a training process may import."""

ROOT = Path(__file__).resolve().parents[2]
"""Folder that holds the packages."""


class SourcesChangedError(UserError):
    """Source files changed while a process imported them."""


@dataclass(frozen=True)
class Sources:
    """The source files of one process."""

    root: str
    """Folder that they were read from."""

    files: Mapping[str, str]
    """sha256 of the content of each file, by its path below `root`."""

    @property
    def digest(self) -> str:
        """sha256 over all paths and contents."""
        return hashlib.sha256(canonical(dict(self.files))).hexdigest()

    def differences(self, other: Sources) -> list[str]:
        """Return the sorted paths of files that differ."""
        paths = self.files.keys() | other.files.keys()
        return sorted(p for p in paths if self.files.get(p) != other.files.get(p))


def read(root: Path = ROOT, packages: Iterable[str] = PACKAGES) -> dict[str, bytes]:
    """Return the content of every Python file of the packages, by its path below `root`."""
    files = (path for package in packages for path in sorted((root / package).rglob("*.py")))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def sources_of(content: Mapping[str, bytes], root: Path = ROOT) -> Sources:
    """Return the sources with this content."""
    digests = {path: hashlib.sha256(text).hexdigest() for path, text in content.items()}
    return Sources(str(root), digests)


_at_start = read()
_content = dict(_at_start)
_noticed: set[str] = set()
"""Modules whose content is in `_content`."""


def at_start(packages: Iterable[str] = PACKAGES) -> Sources:
    """Return the sources that were on disk when this process started."""
    return sources_of(_of(packages, _at_start))


def on_disk(root: Path = ROOT) -> Sources:
    """Return the sources that are on disk now."""
    return sources_of(read(root), root)


def settle() -> Sources:
    """Import all of `factorlab`, so that later changes on disk cannot affect this process.

    Returns:
        The sources of this process.

    Raises:
        SourcesChangedError: A file changed since the process started.
        UserError: A module of the project was imported from another folder.
    """
    package = importlib.import_module("factorlab")
    for module in pkgutil.walk_packages(package.__path__, "factorlab."):
        importlib.import_module(module.name)
    different = on_disk().differences(at_start())
    if different:
        raise SourcesChangedError(
            f"{ROOT / different[0]}: changed while this process started; run the command again"
        )
    content()
    return at_start()


def content(packages: Iterable[str] = PACKAGES) -> dict[str, bytes]:
    """Return the source files of packages as this process imported them, by path.

    Raises:
        UserError: A module of the project was imported from another folder.
    """
    ours = {name for name in sys.modules if name.partition(".")[0] in PACKAGES}
    for name in ours - _noticed:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None:
            _notice(name, Path(file).resolve())
        _noticed.add(name)
    return _of(packages, _content)


def _of(packages: Iterable[str], content: Mapping[str, bytes]) -> dict[str, bytes]:
    chosen = tuple(f"{package}/" for package in packages)
    return {path: text for path, text in content.items() if path.startswith(chosen)}


def _notice(module: str, path: Path) -> None:
    if not path.is_relative_to(ROOT):
        raise UserError(
            f"{path}: module {module} does not belong to the factorlab in {ROOT}; remove its "
            "folder from PYTHONPATH"
        )
    if path.suffix == ".py" and path.exists():
        _content[path.relative_to(ROOT).as_posix()] = path.read_bytes()


def explain(theirs: Sources, ours: Sources, who: str) -> str | None:
    """Return a sentence on how another process's sources differ, None if they do not.

    Args:
        theirs: Sources of the other process.
        ours: Sources of the process that started it.
        who: The other process, for example "a worker on host a1".
    """
    different = theirs.differences(ours)
    if not different:
        return None
    more = f" and {len(different) - 1} other files" if len(different) > 1 else ""
    where = f"in {ours.root}" if theirs.root == ours.root else f"{theirs.root}, not {ours.root}"
    return (
        f"{who} imported other code than this command: {different[0]}{more} ({where}); "
        "run the command again, with the same version of factorlab on every machine"
    )


def refusal(theirs: Sources, ours: Sources, who: str, *, replaces: bool) -> str | None:
    """Return why a worker may not train, or None if it may.

    A worker must have imported the same source files as the driver. One that takes the place of
    another on the driver's machine may have imported newer files, if they are those on disk. The
    records note the change and the sweep continues.

    Args:
        theirs: Source files that the worker imported.
        ours: Source files that the driver imported.
        who: Description of the worker for the message.
        replaces: Whether it is on the driver's machine, and another worker has begun to train.
    """
    reason = explain(theirs, ours, who)
    if reason is None or not replaces:
        return reason
    return reason if theirs.differences(on_disk(Path(ours.root))) else None
