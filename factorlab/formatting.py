"""Lists and values in messages, shortened so that a message stays on one line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

MOST_ITEMS = 24
"""Largest number of items of a list that are written out."""

LONGEST, LONGEST_ITEM = 160, 60
"""Largest number of characters of a value that are written out, alone and in a list."""

_AHEAD = 5  # items of a long list shown before "..."


def listed(items: Iterable[object], most: int = MOST_ITEMS) -> str:
    """Return items joined by commas; for a long list the first ones, the last and their number.

    >>> listed(range(2000))
    '0, 1, 2, 3, 4, ..., 1999 (2000 in all)'
    """
    words = [shortened(str(item), LONGEST_ITEM) for item in items]
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:_AHEAD])}, ..., {words[-1]} ({len(words)} in all)"


def first_of(lines: Sequence[str], more: str = "") -> list[str]:
    """Return the first of many lines, and a line with the number of omitted ones.

    Args:
        lines: Any number of lines.
        more: Text after that number, such as where to find the other lines.
    """
    if len(lines) <= MOST_ITEMS:
        return list(lines)
    return [*lines[:MOST_ITEMS], f"... and {len(lines) - MOST_ITEMS} more{more}"]


def shortened(text: str, most: int = LONGEST) -> str:
    """Return a text of at most `most` characters, with the middle of a longer text cut out.

    >>> shortened("0123456789" * 100, most=20)
    '01234567 ... 3456789'
    """
    if len(text) <= most:
        return text
    end = (most - 5) // 2
    return f"{text[: most - 5 - end]} ... {text[len(text) - end :]}"


def named(text: str, most: int) -> str:
    """Return a name of at most `most` characters, different for different texts.

    >>> named("x" * 100, most=20)
    'xxxxxxxxxxx...09ecb6'
    """
    if len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{text[: most - len(digest) - 3]}...{digest}"


def duration(seconds: float) -> str:
    """Return a readable duration: ``45 s``, ``12 min``, ``3.5 h``, ``2.1 days``, ``4 years``."""
    for unit, size, digits in (
        ("years", 365.25 * 86400, 1),
        ("days", 86400, 1),
        ("h", 3600, 1),
        ("min", 60, 0),
    ):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
