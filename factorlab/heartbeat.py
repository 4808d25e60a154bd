"""Heartbeats of training: signals that it makes progress, for a watchdog.

A heartbeat is sent at every training step and at every network call of sampling. These take seconds
at most, while an evaluation may take hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[], None]] = []


def beat() -> None:
    """Send a heartbeat to all listeners."""
    for listener in _listeners:
        listener()


@contextmanager
def heard(listener: Callable[[], None]) -> Iterator[None]:
    """Call a function at every heartbeat inside the `with` block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
