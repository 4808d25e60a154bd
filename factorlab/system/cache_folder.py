"""A cache folder for libraries if the home folder is not writable.

Numba caches machine code and matplotlib caches its list of fonts. If neither the installation nor
the home folder is writable, numba refuses to compile, and matplotlib rebuilds its list in every
process. In a container whose user is not registered there is no home folder at all.
"""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

_FOLDERS = {"NUMBA_CACHE_DIR": "numba", "MPLCONFIGDIR": "matplotlib"}
"""Environment variables with the cache folders of libraries, and the names of our subfolders."""


def provide() -> None:
    """Give libraries a private temporary cache folder, and a home folder, if they have none.

    Call this before numba compiles. Child processes share the folder. It is deleted when this
    process ends.
    """
    try:
        home = Path.home()
    except RuntimeError:
        home = _folder()
        os.environ["HOME"] = str(home)
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = str(os.getuid())
    kept = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    missing = [name for name in _FOLDERS if name not in os.environ]
    if not missing or can_write(kept):
        return
    for name in missing:
        folder = _folder() / _FOLDERS[name]
        folder.mkdir(exist_ok=True)
        os.environ[name] = str(folder)
    if "NUMBA_CACHE_DIR" in missing and "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]


def can_write(folder: Path) -> bool:
    """Return whether a folder is writable, or can be created in its nearest existing parent."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(there, os.W_OK)


@cache
def _folder() -> Path:
    """Create a folder that only this user can read or write, once per process, and return it."""
    folder = Path(tempfile.mkdtemp(prefix="factorlab-"))
    atexit.register(_delete, folder, os.getpid())
    return folder


def made() -> Path | None:
    """Return the folder that this process created, None if it needed none."""
    return _folder() if _folder.cache_info().currsize else None


def _delete(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)
