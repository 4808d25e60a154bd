"""A sign of life while nothing else can be shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner


@contextmanager
def waiting(console: Console, what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show what takes its time, for as long as it does. Nothing is shown without a terminal.

    Args:
        console: Console to show it on.
        what: What takes its time.
        quiet: Whether to show nothing.
    """
    if quiet or not console.is_terminal:
        yield
        return
    with Live(
        Spinner("dots", what),
        console=console,
        transient=True,
        redirect_stdout=False,  # Ray's messages go there, and from there to a file
        redirect_stderr=False,
    ):
        yield
