"""User errors and operating-system errors, each reported in one sentence.

The command line prints a `UserError`, or an `OSError` for which `user_message` returns a message,
as one line and exits with status 2. Every other exception is a bug and keeps its traceback.
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
"""Largest number of characters of a message. A path or a key in it may be of any length."""


class UserError(ValueError):
    """A user's mistake; the message is one sentence that says what is allowed.

    The message may quote user input. Unprintable characters are escaped, so that the message stays
    on one line and cannot move the cursor.
    """

    def __init__(self, message: str) -> None:
        message = shortened(message, LONGEST_MESSAGE)
        super().__init__("".join(c if c.isprintable() else _escaped(c) for c in message))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _known(*names: str) -> set[int]:
    """Return the error numbers of the names that this system knows."""
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
"""System errors that are not bugs of ours. A missing file is a bug and is not included."""

_AWAY = _known(
    *("ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
    *("ECONNREFUSED", "ECONNRESET", "ESHUTDOWN", "ENOKEY", "EKEYEXPIRED", "EKEYREVOKED"),
)
"""Errors of files on network disks. Without a file name they are connection errors."""

_REMEDIES = {
    errno.EDQUOT: "free some of your disk quota",
    errno.EMFILE: "raise the limit on open files ('ulimit -n')",
    errno.ENFILE: "the system has too many files open",
    errno.EFBIG: "raise the limit on file size ('ulimit -f')",
    errno.ENOLCK: "the disk's lock service does not answer; use a runs folder on another disk",
}
"""Remedies for errors whose own message does not suggest one."""


def user_message(error: Exception) -> str | None:
    """Return a one-line message for an error of the user or the system, None for a bug."""
    if isinstance(error, UserError):
        return str(error)
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.errno in _REFUSALS or (error.filename and error.errno in _AWAY):
        where = f"{error.filename}: " if error.filename else ""
        remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
        return f"{where}{os.strerror(error.errno)}{remedy}"
    return None


def concerns_one_file(error: OSError) -> bool:
    """Return whether an error may concern one file alone, and not the process or the whole disk."""
    known = _NO_RIGHT | _NO_WAY | _NO_DISK | (_AWAY if error.filename else set())
    return error.errno in known


def disk_full(error: Exception) -> bool:
    """Return whether an error says that the disk or the disk quota is full."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


class TrialFailed(RuntimeError):  # noqa: N818 - an outcome of a trial, like `optuna.TrialPruned`
    """A trial ended without a result, for a reason that would recur if it ran again."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` if a known word is similar, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def describe(error: ValidationError, model: type[BaseModel], source: str, prefix: str = "") -> str:
    """Return the most informative problem of a failed validation as one sentence.

    Args:
        error: The error that pydantic raised.
        model: The model that was validated; its keys are listed if a key is unknown.
        source: The file or option that the values come from.
        prefix: Dotted key of `model` inside `source`.

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
    """Return the path of keys to a problem, without pydantic's names of union members."""
    parts = [str(part) for part in problem["loc"]]
    unknown = parts[-1:] if problem["type"] == "extra_forbidden" else []  # a user's key: keep it
    groups = parts[: len(parts) - len(unknown)]
    return [p for p in groups if p != "constrained-float" and "[" not in p] + unknown


def _foremost(error: ValidationError) -> ErrorDetails:
    """Return the most informative problem.

    An unknown key comes first, since it explains a missing one. Among the members of a union, the
    intended one is the member whose error lies deepest in the value.
    """
    problems = error.errors()
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    if unknown:
        return unknown[0]
    top = _path(problems[0])[:2]
    same = [problem for problem in problems if _path(problem)[:2] == top]
    return max(same, key=lambda problem: len(problem["loc"]))


def _keys_at(model: type[BaseModel], where: list[str]) -> list[str]:
    """Return the field names of the model at the path `where`."""
    current: Any = model
    for part in where:
        field = current.model_fields.get(part)
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not models:
            break
        current = models[0]
    return list(current.model_fields)
