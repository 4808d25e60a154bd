"""Changes of an experiment on the command line: ``--set key=value``.

One option holds one pair or several: a new pair starts at a space before ``word.word=`` that
stands outside of brackets and quotes. ``key=value`` sets a base setting or, where the key is an
axis, its values; ``axes.key=[...]`` makes an axis of any setting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from factorlab.config import RunSettings
from factorlab.errors import UserError
from factorlab.formatting import shortened
from sweeps.planning.yaml_file import parse_yaml

AXES = "axes."
"""In front of a key: its value is a list of values to sweep over."""

Grid = dict[str, list[Any]]

_NEXT_PAIR = re.compile(r"\s+[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*=")


def parse_overrides(options: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``--set`` options by key, read as YAML.

    Raises:
        UserError: an option is not of the form.
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
    """Return where the YAML value that begins at `start` ends, and another pair may begin."""
    depth, quote, at = 0, "", start
    begins = True  # a scalar, which may be in quotes; in the middle of one they are apostrophes
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
        UserError: the key runs through something that is not a group of settings.
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
        overrides: values by key, as `parse_overrides` returns them.
        base: nested settings of every run.
        grids: the axes of the first grid, and those of the further ones.
        source: of the experiment, to name it in a complaint.

    Raises:
        UserError: a key lies in an axis or around one, or a list is no value of its setting.
    """
    # Axes first: what is refused does not depend on the order of the options.
    for option, value in sorted(overrides.items(), key=lambda pair: not pair[0].startswith(AXES)):
        key = option.removeprefix(AXES)
        _check(option, overrides, grids, source)
        known = _keys(grids)
        if option.startswith(AXES) and key not in known:
            grids[0][key] = []  # filled below; further grids take it over
        elif key not in known:
            for setting, values in _no_values(value, key):
                raise UserError(
                    f"--set {key}: '{setting}' is not an axis of {source}, so it takes one value "
                    f"and no list; to sweep over it use {_as_axis(setting, values)}"
                )
            assign(base, key, value, f"--set {key}")
        for grid in grids:
            if key in grid:
                grid[key] = value if isinstance(value, list) else [value]
    _check_lists(base, grids, source)


def _keys(grids: Sequence[Grid]) -> set[str]:
    return {key for grid in grids for key in grid}


def _check(option: str, overrides: Mapping[str, Any], grids: Sequence[Grid], source: str) -> None:
    """Refuse an override that another one, or an axis, contradicts."""
    key, known = option.removeprefix(AXES), _keys(grids)
    if option == AXES.rstrip("."):
        raise UserError(f"--set {option}: give one axis at a time; allowed: axes.KEY=[...]")
    if option != key and key in overrides:
        raise UserError(f"--set {option}: '{key}' is set, too; give one of them")
    nested = [axis for axis in known if f"{axis}.".startswith(f"{key}.") and axis != key]
    nested += [axis for axis in known if key.startswith(f"{axis}.")]
    if nested:
        raise UserError(f"--set {option}: '{min(nested)}' is an axis of {source}; set that")
    if overrides[option] == [] and (option != key or key in known):
        raise UserError(f"--set {option}: an axis needs at least one value")


def _check_lists(base: dict[str, Any], grids: Sequence[Grid], source: str) -> None:
    """Refuse a list among base settings where a setting takes single values."""
    for setting, values in _no_values(base):
        if setting not in _keys(grids):
            raise UserError(
                f"{source}: {setting} = {shortened(str(values))}: '{setting}' is not an axis, so "
                "it takes one value and no list; to sweep over it write it under axes"
            )


def _no_values(content: object, *path: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the lists that are no value of their setting, though their items are."""
    for setting, values in _lists(content, *path):
        if not _accepts(setting, values) and any(_accepts(setting, one) for one in values):
            yield setting, values


def single_values(overrides: Mapping[str, Any], axes: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each list that is one value, where values to sweep over may be meant.

    Args:
        overrides: values by key.
        axes: keys of all axes.
    """
    for key, value in overrides.items():
        if key.startswith(AXES) or key in axes:
            continue
        for setting, values in _lists(value, key):
            if _accepts(setting, values) and all(_accepts(setting, one) for one in values):
                yield (
                    f"{setting} = {values} is one value (x, y) in every run; to sweep over it use "
                    f"{_as_axis(setting, values)}"
                )


def _as_axis(setting: str, values: Sequence[Any]) -> str:
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    return f"--set {AXES}{setting}={shortened(text)}"


def _lists(content: object, *path: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the key and value of every setting with a list that is not empty, in a group or not."""
    if isinstance(content, dict):
        for name, inner in content.items():
            yield from _lists(inner, *path, name)
    elif isinstance(content, list) and content:
        yield ".".join(path), content


def _accepts(key: str, value: object) -> bool:
    """Return whether a setting takes a value, whatever the other settings are."""
    nested: dict[str, Any] = {}
    assign(nested, key, value, key)
    try:
        RunSettings.model_validate_json(json.dumps(nested))
    except ValidationError as error:
        path = key.split(".")
        wrong = ([str(part) for part in problem["loc"]] for problem in error.errors())
        return not any(where[: len(path)] == path for where in wrong)
    return True
