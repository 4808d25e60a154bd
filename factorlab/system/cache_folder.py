"""A folder for what libraries keep between runs, where the home folder cannot be written.

Numba keeps machine code and matplotlib its list of fonts. Where neither the installation nor the
home folder can be written, numba refuses to compile and matplotlib begins anew in each process. In
a container that runs as a user it does not know there is no home folder at all.
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

from factorlab.storage.files import can_write

_FOLDERS = {"NUMBA_CACHE_DIR": "numba", "MPLCONFIGDIR": "matplotlib"}
"""Environment variables that name folders of libraries."""


def provide() -> None:
    """Give libraries a private temporary folder, and a home, where they have none to write to.

    Call it before numba compiles. Processes that this one starts share the folder; it is deleted
    when this process ends.
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


@cache
def _folder() -> Path:
    """Return a folder that nobody else may read or write, which is made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="factorlab-"))
    atexit.register(_delete, folder, os.getpid())
    return folder


def made() -> Path | None:
    """Return the folder that this process made, None where it needed none."""
    return _folder() if _folder.cache_info().currsize else None


def _delete(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not in a child that was forked
        shutil.rmtree(folder, ignore_errors=True)
