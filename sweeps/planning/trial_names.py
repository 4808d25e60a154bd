"""Names of trials, short enough to read in a table: ``N9 bump+stripes λ.07 s1``."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

from factorlab.formatting import named

LONGEST_NAME, LONGEST_VALUE = 200, 40
"""Maximum characters of a trial's name and of a value in it. MLflow keeps 250 of a name."""

_SYMBOLS = {
    "data.size": "N",
    "data.family": "",
    "data.sigma": "σ",
    "data.subsample": "λ",
}
"""What stands before the values of these axes, which come first, in this order."""

_LAST = {"seed": "s"}


def trial_name(point: Mapping[str, object]) -> str:
    """Return the readable name of a point: one line, distinct for every point of the same axes.

    Sizes, families, widths and shares stand as symbols, other values as ``name=value`` with the
    last part of their key, and the seed at the end. Shares below 1 lose their zero.

    Args:
        point: Values by axis.
    """
    ordered = [key for key in _SYMBOLS if key in point]
    ordered += [key for key in point if key not in _SYMBOLS and key not in _LAST]
    ordered += [key for key in _LAST if key in point]
    return named(" ".join(_part(key, point[key]) for key in ordered), LONGEST_NAME)


def _part(key: str, value: object) -> str:
    symbol = (_SYMBOLS | _LAST).get(key)
    if symbol is None:
        return f"{key.rpartition('.')[2]}={named(_text(value), LONGEST_VALUE)}"
    numbers = value if isinstance(value, list) else [value]
    short = isinstance(value, list | Real) and all(isinstance(n, Real) for n in numbers)
    text = "x".join(_short(str(n)) for n in numbers) if short else _text(value)
    return f"{symbol}{named(text, LONGEST_VALUE)}"


def _short(number: str) -> str:
    return number.removeprefix("0") if number.startswith("0.") else number


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "-".join(str(value[key]) for key in sorted(value))
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
