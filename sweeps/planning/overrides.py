"""Overrides of an experiment on the command line: ``--set key=value``.

One option holds one or several pairs. A new pair starts at a space before ``word.word=`` outside
of brackets and quotes. ``key=value`` sets a base setting, or the values of an axis if the key is
one. ``axes.key=[...]`` turns any setting into an axis.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from factorlab.config import RunSettings
from factorlab.errors import UserError
from factorlab.formatting import shortened
from sweeps.planning.search.spec import AxisRange, Kind, axis_values
from sweeps.planning.yaml_file import parse_yaml

AXES = "axes."
"""Prefix of a key whose value is a list of values to sweep over."""

Grid = dict[str, list[Any] | AxisRange]

_NEXT_PAIR = re.compile(r"\s+[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*=")


def parse_overrides(options: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``--set`` options by key, parsed as YAML.

    Raises:
        UserError: An option is not of the form ``key=value``, or its value is not YAML.
    """
    overrides = {}
    for option in options:
        for pair in split_pairs(option):
            key, equals, text = (part.strip() for part in pair.partition("="))
            if not equals or not key:
                raise UserError(f"--set {shortened(option)}: not of the form key=value")
            overrides[key] = parse_yaml(text, f"--set {shortened(key)}")
    return overrides


def split_pairs(option: str) -> Iterator[str]:
    """Yield each ``key=value`` of an option.

    >>> list(split_pairs("seed=[0, 1] data.family='a b=c' data.size=8"))
    ['seed=[0, 1]', "data.family='a b=c'", 'data.size=8']
    """
    start = 0
    while start < len(option):
        end = _end_of_value(option, option.find("=", start) + 1 or len(option))
        yield option[start:end].strip()
        start = end
    if not option:
        yield option


def _end_of_value(text: str, start: int) -> int:
    """Return the index at which the YAML value that starts at `start` ends."""
    depth, quote, at = 0, "", start
    begins = True  # a quote opens a string only at the start of a scalar; later it is an apostrophe
    tag = False
    while at < len(text):
        character = text[at]
        if quote:
            escaped = text[at : at + 2] == "''" if quote == "'" else character == "\\"
            if not escaped and character == quote:
                quote = ""
            at += 2 if escaped else 1
            continue
        if character.isspace():
            if depth <= 0 and _NEXT_PAIR.match(text, at):
                return at
            begins, tag = begins or tag, False
        elif begins and character in "'\"":
            quote, begins = character, False
        else:
            depth += (character in "[{") - (character in "]}")
            tag = tag or (begins and character in "!&")
            ends = text[at + 1 : at + 2].isspace() or text[at - 1] in "'\""  # a key
            inside = character == "," and depth > 0
            begins = inside or character in "[{" or (character == ":" and ends)
        at += 1
    return at


def assign(nested: dict[str, Any], key: str, value: object, source: str) -> None:
    """Set a dotted key in nested settings.

    Raises:
        UserError: A parent of the key is not a group of settings.
    """
    *groups, last = key.split(".")
    for group in groups:
        nested = nested.setdefault(group, {})
        if not isinstance(nested, dict):
            raise UserError(f"{source}: {key}: '{group}' is not a group of settings")
    nested[last] = value


def apply(
    overrides: Mapping[str, Any], base: dict[str, Any], grids: Sequence[Grid], source: str
) -> None:
    """Change base settings and axes in place.

    Args:
        overrides: Values by key, as `parse_overrides` returns them.
        base: Nested settings of every run.
        grids: Axes of the main grid, followed by those of each additional grid.
        source: Name or file of the experiment, for error messages.

    Raises:
        UserError: A key is the parent or a child of an axis, or a setting does not accept a list.
    """
    # Axes first, so that errors do not depend on the order of the options.
    for option, value in sorted(overrides.items(), key=lambda pair: not pair[0].startswith(AXES)):
        key = option.removeprefix(AXES)
        _check(option, overrides, grids, source)
        known = _keys(grids)
        if option.startswith(AXES) and key not in known:
            grids[0][key] = []  # filled below; additional grids inherit it
        elif key not in known:
            for setting, values in _no_values(value, key):
                raise UserError(
                    f"--set {key}: '{setting}' is not an axis of {source}, so it takes a single "
                    f"value, not a list; to sweep over it, use {_as_axis(setting, values)}"
                )
            assign(base, key, value, f"--set {key}")
        for grid in grids:
            if key in grid:
                grid[key] = _axis(value, option)
    _check_lists(base, grids, source)


def _axis(value: object, option: str) -> list[Any] | AxisRange:
    """Return the values of an axis from the value of an option."""
    if not isinstance(value, list | dict):
        return [value]
    try:
        return axis_values(value)
    except ValueError as error:
        if isinstance(value, dict) and not value.keys() & set(get_args(Kind)):
            return [value]  # one value that is itself a group of settings
        raise UserError(f"--set {option}: {error}") from None


def _keys(grids: Sequence[Grid]) -> set[str]:
    return {key for grid in grids for key in grid}


def _check(option: str, overrides: Mapping[str, Any], grids: Sequence[Grid], source: str) -> None:
    """Reject an override that conflicts with another one or with an axis."""
    key, known = option.removeprefix(AXES), _keys(grids)
    if option == AXES.rstrip("."):
        raise UserError(f"--set {option}: give one axis at a time; allowed: axes.KEY=[...]")
    if option != key and key in overrides:
        raise UserError(f"--set {option}: '{key}' is set as well; give only one of them")
    nested = [axis for axis in known if f"{axis}.".startswith(f"{key}.") and axis != key]
    nested += [axis for axis in known if key.startswith(f"{axis}.")]
    if nested:
        raise UserError(
            f"--set {option}: '{min(nested)}' is an axis of {source}; set that axis instead"
        )
    if overrides[option] == [] and (option != key or key in known):
        raise UserError(f"--set {option}: an axis needs at least one value")


def _check_lists(base: dict[str, Any], grids: Sequence[Grid], source: str) -> None:
    """Reject lists of base settings that accept only single values."""
    for setting, values in _no_values(base):
        if setting not in _keys(grids):
            raise UserError(
                f"{source}: {setting} = {shortened(str(values))}: '{setting}' is not an axis, so "
                "it takes a single value, not a list; to sweep over it, put it under axes"
            )


def _no_values(content: object, *path: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield lists that their setting rejects although it accepts one of their items."""
    for setting, values in _lists(content, *path):
        if not _accepts(setting, values) and any(_accepts(setting, one) for one in values):
            yield setting, values


def single_values(overrides: Mapping[str, Any], axes: Collection[str]) -> Iterator[str]:
    """Yield a hint for each list that is a single value but could also mean values to sweep over.

    Args:
        overrides: Values by key.
        axes: Keys of all axes.
    """
    for key, value in overrides.items():
        if key.startswith(AXES) or key in axes:
            continue
        for setting, values in _lists(value, key):
            if _accepts(setting, values) and all(_accepts(setting, one) for one in values):
                yield (
                    f"{setting} = {values} is one value (x, y) in every run; to sweep over it, "
                    f"use {_as_axis(setting, values)}"
                )


def _as_axis(setting: str, values: Sequence[Any]) -> str:
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    return f"--set {AXES}{setting}={shortened(text)}"


def _lists(content: object, *path: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield key and value of every setting that holds a non-empty list, including nested ones."""
    if isinstance(content, dict):
        for name, inner in content.items():
            yield from _lists(inner, *path, name)
    elif isinstance(content, list) and content:
        yield ".".join(path), content


def _accepts(key: str, value: object) -> bool:
    """Return whether a setting accepts a value, regardless of the other settings."""
    nested: dict[str, Any] = {}
    assign(nested, key, value, key)
    try:
        RunSettings.model_validate_json(json.dumps(nested))
    except ValidationError as error:
        path = key.split(".")
        wrong = ([str(part) for part in problem["loc"]] for problem in error.errors())
        return not any(where[: len(path)] == path for where in wrong)
    return True
