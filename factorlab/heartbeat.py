"""A sign of life: whoever watches over training is told that it goes on.

One beat a training step and a network call of sampling, which take seconds at most where an
evaluation may take hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[], None]] = []


def beat() -> None:
    """Tell all listeners."""
    for listener in _listeners:
        listener()


@contextmanager
def heard(listener: Callable[[], None]) -> Iterator[None]:
    """Let a function be called at every beat."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
