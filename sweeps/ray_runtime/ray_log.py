"""Ray's own messages, which go to a file: warnings, dumps of its processes, tracebacks of workers.

Parts of Ray write to the file descriptors of standard output and standard error, not through
Python. So the descriptors are redirected, and `sys.stderr` keeps the terminal.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_current: list[Path] = []


@contextmanager
def redirected(path: Path) -> Iterator[None]:
    """Append what Ray writes to a file while the context is active. Imports Ray.

    Python's own standard error is not affected.

    Args:
        path: The file. Its folder is created if missing.
    """
    import ray  # noqa: F401, PLC0415 - configures its logger, which is changed below

    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    logger, own = logging.getLogger("ray"), sys.stderr
    before, handler = logger.handlers[:], logging.FileHandler(path, encoding="utf-8")
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if _writes_to(own, 2):
        # It stays open at the end, since handlers of other libraries may hold it.
        sys.stderr = os.fdopen(os.dup(kept[1]), "w", buffering=1, encoding=own.encoding)
    logger.handlers[:] = [handler]
    _current.append(path)
    try:
        yield
    finally:
        _current.pop()
        logger.handlers[:] = before
        handler.close()
        sys.stdout.flush()
        sys.stderr = own
        for descriptor, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    """Return whether a stream writes to a file descriptor. Tests and notebooks replace streams."""
    try:
        return stream.fileno() == descriptor
    except io.UnsupportedOperation:
        return False


def current() -> Path:
    """Return the file to which Ray's messages go now. Ray must be connected."""
    return _current[-1]
