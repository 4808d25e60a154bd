"""Read YAML with the core schema of YAML 1.2 and unique keys.

PyYAML implements YAML 1.1, in which ``12:30`` is 750, ``yes`` is true and ``1.8e3`` is text. This
loader uses PyYAML's grammar, but resolves plain scalars by the tables of YAML 1.2, section 10.3.2.
Features that exist only in YAML 1.1 (merge keys, other tags, other line breaks) are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from factorlab.errors import UserError

_TAG = "tag:yaml.org,2002:"


def _integer(text: str) -> int:
    """Return an integer. Octal numbers start with ``0o``; a leading zero has no meaning."""
    bases = {"0o": 8, "0x": 16}
    return int(text[2:], bases[text[:2]]) if text[:2] in bases else int(text)


def _float(text: str) -> float:
    """Return a floating-point number, including YAML's ``.inf`` and ``.nan``."""
    unsigned = text.lstrip("+-").lower()
    return float(text.replace(".", "", 1)) if unsigned in (".inf", ".nan") else float(text)


def _text(text: str) -> str:
    """Return a text in which pairs of surrogate escapes, as in JSON, form one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


_CORE: dict[str, tuple[str, Callable[[str], object]]] = {
    "null": (r"null|Null|NULL|~|", lambda _: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", _integer),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        _float,
    ),
    "str": (r"(?s:.*)", _text),
}
"""Pattern and constructor by name of the tag. A plain scalar gets the first tag whose pattern
matches."""

_ONCE_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Characters that are line breaks in YAML 1.1 but ordinary characters in YAML 1.2."""

_MOST_VALUES = 10**6
"""Maximum number of values in a text. Nested aliases could expand a few lines to far more."""

_VERSION_1_1 = re.compile(r"^%YAML\s+1\.[01]\b", re.MULTILINE)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2, and keys that are text and unique."""

    # Replace the resolvers and constructors of YAML 1.1.
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - as PyYAML declares it
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def compose_scalar_node(self, anchor: Any) -> Any:  # noqa: ANN401 - as PyYAML's
        """Treat a plain scalar after a lone ``!`` as text, as YAML 1.2 does."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.tag == "!":
            event.tag = f"{_TAG}str"
        return super().compose_scalar_node(anchor)


def _refuse(node: Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _scalar(loader: _Loader, node: ScalarNode) -> object:
    """Construct a scalar according to its tag."""
    name = node.tag.removeprefix(_TAG)
    texts, meaning = _CORE[name]
    if not re.fullmatch(texts, node.value):
        raise _refuse(node, f"'{node.value}' is not a valid !!{name} in YAML 1.2")
    try:
        return meaning(node.value)
    except UnicodeDecodeError:
        raise _refuse(node, "an escape is only half of a surrogate pair") from None


def _mapping(loader: _Loader, node: Node) -> dict[str, Any]:
    """Construct a mapping. Its keys must be text and unique."""
    if not isinstance(node, MappingNode):
        raise _refuse(node, "!!map is not followed by a mapping")
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True) if _is_scalar(key_node) else None
        if not isinstance(key, str):
            text = f" '{key_node.value}'" if _is_scalar(key_node) and key_node.value else ""
            raise _refuse(key_node, f"the key{text} is not text; allowed: a name or a quoted text")
        if key == "<<" and key_node.style is None:
            raise _refuse(key_node, "merge keys (<<) are not in YAML 1.2; write out the keys")
        if key in result:
            raise _refuse(key_node, f"the key '{key}' is used twice")
        result[key] = loader.construct_object(value_node, deep=True)
    return result


def _sequence(loader: _Loader, node: Node) -> list[Any]:
    """Construct a sequence eagerly, so that a sequence that contains itself is rejected."""
    if not isinstance(node, SequenceNode):
        raise _refuse(node, "!!seq is not followed by a sequence")
    return [loader.construct_object(child, deep=True) for child in node.value]


def _is_scalar(node: Node) -> bool:
    return isinstance(node, ScalarNode)


def _unknown(loader: _Loader, node: Node) -> object:
    """Reject a tag that is not in the core schema."""
    tag = node.tag.replace(_TAG, "!!")
    allowed = ", ".join(f"!!{name}" for name in ("map", "seq", *_CORE))
    raise _refuse(node, f"the tag {tag} is not in YAML 1.2's core schema; allowed: {allowed}")


for _name, (_texts, _) in _CORE.items():
    _Loader.add_constructor(f"{_TAG}{_name}", _scalar)
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_texts})\Z"), None)
_Loader.add_constructor(f"{_TAG}map", _mapping)
_Loader.add_constructor(f"{_TAG}seq", _sequence)
_Loader.add_constructor(None, _unknown)


def parse_yaml(text: str, source: str) -> Any:  # noqa: ANN401 - YAML holds anything
    """Parse a YAML text.

    Args:
        text: The YAML text.
        source: File or option that the text comes from, for error messages.

    Raises:
        UserError: The text is not YAML 1.2, holds several documents or repeats a key.
    """
    found = _ONCE_BREAKS.search(text)
    if found:
        where = f"{source}, line {text.count(chr(10), 0, found.start()) + 1}"
        raise UserError(
            f"{where}: not YAML: U+{ord(found[0]):04X} is a line break in YAML 1.1 but not in 1.2; "
            "allowed: a line feed"
        )
    if _VERSION_1_1.search(text):
        raise UserError(
            f"{source}: not YAML: it declares YAML 1.1; allowed: 1.2, or no %YAML directive"
        )
    try:
        # A subclass of SafeLoader, which constructs plain values only.
        content = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{source}{line}: not YAML: {_reason(error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{source}: not YAML: {first}") from None
    count = _values(content, {})
    if count > _MOST_VALUES:
        raise UserError(
            f"{source}: its aliases expand to {count:.0e} values; allowed: at most "
            f"{_MOST_VALUES:.0e}"
        )
    return content


def _values(content: object, known: dict[int, int]) -> int:
    """Count the values in nested collections; shared values count once per occurrence."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        inner = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_values(value, known) for value in inner)
    return known[id(content)]


def _reason(error: yaml.MarkedYAMLError) -> str:
    """Return the problem, with a clearer text where PyYAML's is hard to understand."""
    problem = error.problem or type(error).__name__
    if isinstance(error, yaml.composer.ComposerError) and "another document" in problem:
        return "it holds several documents; allowed: one"
    if "'\\t'" in problem:
        return "a tab is used where spaces are expected"
    return problem


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - YAML holds anything
    """Parse a YAML file.

    Raises:
        UserError: The file cannot be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not YAML: it is not UTF-8 text") from None
    return parse_yaml(text, str(path))
