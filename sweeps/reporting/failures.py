"""Collect and print failures outside of training, so that the command can continue.

A user error or system error is printed as one line. A bug is printed as one line and a traceback
on standard error.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from factorlab.errors import user_message
from factorlab.formatting import shortened
from factorlab.storage.files import DamagedFile

LONGEST_REASON = 400
"""Maximum characters of a reason, which may quote a path."""


@dataclass(frozen=True)
class Failure:
    """A part of a sweep that failed."""

    what: str
    """The part, such as a figure, the measures or MLflow. Empty for the sweep itself."""

    reason: str
    """The reason in one line."""

    trace: str = ""
    """Traceback if the failure is a bug, otherwise empty."""

    def line(self, where: str = "") -> str:
        """Return the failure in one line.

        Args:
            where: Sweep or file that the failure belongs to.
        """
        return ": ".join(filter(None, (where, self.what, self.reason)))


def show(failed: Iterable[Failure], where: str, console: Console) -> None:
    """Print failures, with a traceback above those that are bugs."""
    for one in failed:
        for text in filter(None, (one.trace, one.line(where))):
            console.print(text, highlight=False, soft_wrap=True)


def failure(what: str, error: Exception, *expected: type[Exception]) -> Failure:
    """Convert an exception into a failure of a part of a sweep.

    Args:
        what: Name of the part.
        error: Exception that it raised.
        expected: Exception types whose message is meant for the user.
    """
    words = str(error) if isinstance(error, (DamagedFile, *expected)) else user_message(error)
    if words is not None:
        return Failure(what, _line(words))
    kind = type(error).__name__
    reason = f"{kind}: {_line(str(error))}" if str(error).strip() else kind
    return Failure(what, reason, "".join(traceback.format_exception(error)).rstrip())


def _line(text: str) -> str:
    """Return the first non-empty line, shortened if necessary."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), text)
    return shortened(first, LONGEST_REASON)


@contextmanager
def caught(what: str, found: list[Failure], *expected: type[Exception]) -> Iterator[None]:
    """Catch exceptions of a part of a sweep and append them to a list of failures.

    Args:
        what: Name of the part.
        found: List to which the failure is appended.
        expected: Exception types whose message is meant for the user.
    """
    try:
        yield
    except Exception as error:
        found.append(failure(what, error, *expected))
