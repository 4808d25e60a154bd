"""A folder for what libraries keep between runs, where the home folder cannot be written.

Numba keeps machine code and matplotlib its list of fonts. Where neither the installation nor the
home folder can be written, numba refuses to compile and matplotlib begins anew in each process.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from factorlab.files import can_write

_FOLDERS = {"NUMBA_CACHE_DIR": "numba", "MPLCONFIGDIR": "matplotlib"}
"""Environment variables that name folders of libraries."""


def provide() -> None:
    """Give libraries a private temporary folder if the home folder cannot be written.

    Call it before numba is imported. Processes that this one starts share the folder; it is
    deleted when this process ends.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    missing = [name for name in _FOLDERS if name not in os.environ]
    if not missing or can_write(cache):
        return
    folder = Path(tempfile.mkdtemp(prefix="factorlab-cache-"))
    atexit.register(_delete, folder, os.getpid())
    for name in missing:
        os.environ[name] = str(folder / _FOLDERS[name])
        (folder / _FOLDERS[name]).mkdir()
    if "NUMBA_CACHE_DIR" in missing and "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]


def _delete(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not in a child that was forked
        shutil.rmtree(folder, ignore_errors=True)
