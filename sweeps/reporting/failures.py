"""What fails beside the training: it is kept and named, and the work goes on.

A mistake of the user's, or what the system refuses, is a line. Our own mistake is a line and a
traceback on standard error.
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
"""Characters of a reason, which may quote a path."""


@dataclass(frozen=True)
class Failure:
    """A part of a sweep that failed."""

    what: str
    """The part: a figure, the measures, MLflow, or the sweep as a whole."""

    reason: str
    """Why, in a line."""

    trace: str = ""
    """Where, if it is our own mistake."""

    def line(self, where: str = "") -> str:
        """Return it in a line.

        Args:
            where: sweep or file that it belongs to.
        """
        return ": ".join(filter(None, (where, self.what, self.reason)))


def show(failed: Iterable[Failure], where: str, console: Console) -> None:
    """Print failures, each below the traceback of our own mistake."""
    for one in failed:
        for text in filter(None, (one.trace, one.line(where))):
            console.print(text, highlight=False, soft_wrap=True)


def failure(what: str, error: Exception, *expected: type[Exception]) -> Failure:
    """Return what an exception says of a part of a sweep.

    Args:
        what: the part.
        error: what it raised.
        expected: exceptions whose message is a sentence for the user.
    """
    words = str(error) if isinstance(error, (DamagedFile, *expected)) else user_message(error)
    if words is not None:
        return Failure(what, _line(words))
    kind = type(error).__name__
    reason = f"{kind}: {_line(str(error))}" if str(error).strip() else kind
    return Failure(what, reason, "".join(traceback.format_exception(error)).rstrip())


def _line(text: str) -> str:
    """Return the first line that says something, which may be long."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), text)
    return shortened(first, LONGEST_REASON)


@contextmanager
def caught(what: str, found: list[Failure], *expected: type[Exception]) -> Iterator[None]:
    """Keep what a part of a sweep raises as a failure, and go on after it.

    Args:
        what: the part.
        found: where to keep it.
        expected: exceptions whose message is a sentence for the user.
    """
    try:
        yield
    except Exception as error:
        found.append(failure(what, error, *expected))
