"""User mistakes and refusals of the operating system, each reported in one sentence.

The command line turns a `UserError`, and an `OSError` for which `user_message` has a sentence, into
one line of text and exit status 2. Everything else is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from factorlab.formatting import listed, shortened

INTERRUPTED = 130
"""Exit status after Ctrl-C."""

LONGEST_MESSAGE = 2000
"""Characters of a sentence, in which a path or a key may be of any length."""


class UserError(ValueError):
    """A mistake of the user's; the message is one sentence that says what is allowed.

    It may quote what the user wrote: what is not printable there is escaped, so that it stays one
    line and moves no cursor.
    """

    def __init__(self, message: str) -> None:
        message = shortened(message, LONGEST_MESSAGE)
        super().__init__("".join(c if c.isprintable() else _escaped(c) for c in message))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _known(*names: str) -> set[int]:
    """Return the numbers of errors; not every system knows all."""
    return {getattr(errno, name) for name in names if hasattr(errno, name)}


_NO_ROOM = _known("ENOSPC", "EDQUOT")
_NO_RIGHT = _known("EROFS", "EACCES", "EPERM")
_NO_WAY = _known(
    "ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "ELOOP", "EILSEQ", "EXDEV", "EMLINK"
)
_NO_MEANS = _known("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EFBIG", "EBUSY", "ETXTBSY")
_NO_LOCK = _known("ENOSYS", "EOPNOTSUPP", "ENOLCK")
_NO_DISK = _known("EIO", "ESTALE", "ENODEV", "ENXIO", "EUCLEAN", "EREMOTEIO", "ENOMEDIUM")
_REFUSALS = _NO_ROOM | _NO_RIGHT | _NO_WAY | _NO_MEANS | _NO_LOCK | _NO_DISK
"""What is no mistake of ours, as a missing file is."""

_AWAY = _known(
    *("ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
    *("ECONNREFUSED", "ECONNRESET", "ESHUTDOWN", "ENOKEY", "EKEYEXPIRED", "EKEYREVOKED"),
)
"""What a file on another machine's disk can meet; without a file these are of a connection."""

_REMEDIES = {
    errno.EDQUOT: "free some of your quota",
    errno.EMFILE: "raise the limit of open files ('ulimit -n')",
    errno.ENFILE: "the system has too many files open",
    errno.EFBIG: "raise the limit of a file's size ('ulimit -f')",
    errno.ENOLCK: "the disk's lock service does not answer; use a runs folder on another disk",
}
"""What to do about an error whose own words do not say it."""


def user_message(error: Exception) -> str | None:
    """Return in a line what user or system have to mend, None where it is our own mistake."""
    if isinstance(error, UserError):
        return str(error)
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.errno in _REFUSALS or (error.filename and error.errno in _AWAY):
        where = f"{error.filename}: " if error.filename else ""
        remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
        return f"{where}{os.strerror(error.errno)}{remedy}"
    return None


def disk_full(error: Exception) -> bool:
    """Return whether a user_message is that of a full disk."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


class TrialFailed(RuntimeError):  # noqa: N818 - an outcome of a trial, as `optuna.TrialPruned`
    """A trial ended without a result, for a reason that running it again would repeat."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean X?"`` where a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def describe(error: ValidationError, model: type[BaseModel], source: str, prefix: str = "") -> str:
    """Return the first problem of a validation as one sentence.

    Args:
        error: what pydantic raised.
        model: the model that was validated, to list the keys it knows.
        source: the file or option that the values came from.
        prefix: dotted key of `model` inside `source`.

    Returns:
        ``"<source>: <key> = <value>: <what is allowed>"``.
    """
    first = _foremost(error)
    where = _path(first)
    key = ".".join(filter(None, [prefix, *where]))
    if first["type"] == "extra_forbidden":
        known = _keys_at(model, where[:-1])
        return (
            f"{source}: unknown key '{key}'; allowed: {listed(known)}{suggestion(where[-1], known)}"
        )
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if first["type"] == "missing":
        return f"{source}: key '{key}' is missing"
    value = first["input"]
    if isinstance(value, Mapping | BaseModel):
        return f"{source}: {key + ': ' if key else ''}{message}"
    shown = shortened(repr(value))
    return f"{source}: {key} = {shown}: {message}" if key else f"{source}: {message}"


def _path(problem: ErrorDetails) -> list[str]:
    """Return where a problem lies, without the names that a union gives its members."""
    parts = [str(part) for part in problem["loc"]]
    unknown = parts[-1:] if problem["type"] == "extra_forbidden" else []  # may look like anything
    groups = parts[: len(parts) - len(unknown)]
    return [p for p in groups if p != "constrained-float" and "[" not in p] + unknown


def _foremost(error: ValidationError) -> ErrorDetails:
    """Return the problem to tell of.

    An unknown key explains a missing one. Of a union's members the one that got furthest into
    the value is the one that was meant.
    """
    problems = error.errors()
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    if unknown:
        return unknown[0]
    top = _path(problems[0])[:2]
    same = [problem for problem in problems if _path(problem)[:2] == top]
    return max(same, key=lambda problem: len(problem["loc"]))


def _keys_at(model: type[BaseModel], where: list[str]) -> list[str]:
    """Return the field names of the model that the path `where` leads to."""
    current: Any = model
    for part in where:
        field = current.model_fields.get(part)
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not models:
            break
        current = models[0]
    return list(current.model_fields)
