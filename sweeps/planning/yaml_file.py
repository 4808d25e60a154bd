"""Reading YAML by the core schema of YAML 1.2: every key once, and numbers as JSON has them.

PyYAML reads YAML 1.1, in which ``12:30`` is 750, ``yes`` is true and ``1.8e3`` is text. This
loader keeps its grammar and takes plain values from the tables of YAML 1.2, section 10.3.2. What
YAML 1.1 adds to the grammar (merge keys, other tags, other line breaks) is refused.
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
    """Return an integer; zeros in front do not make it octal, ``0o`` does."""
    bases = {"0o": 8, "0x": 16}
    return int(text[2:], bases[text[:2]]) if text[:2] in bases else int(text)


def _float(text: str) -> float:
    """Return a floating-point number; YAML writes ``.inf`` and ``.nan`` with a dot."""
    unsigned = text.lstrip("+-").lower()
    return float(text.replace(".", "", 1)) if unsigned in (".inf", ".nan") else float(text)


def _text(text: str) -> str:
    """Return a text in which escapes that are halves of one character, as JSON has them, meet."""
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
"""Name of a tag to the texts that it has, and what a text means. A plain value has the first tag
whose texts hold it."""

_ONCE_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Line breaks in YAML 1.1, characters like any other in YAML 1.2."""

_MOST_VALUES = 10**6
"""Values that a text may stand for; aliases of aliases make far more out of a few lines."""

_VERSION_1_1 = re.compile(r"^%YAML\s+1\.[01]\b", re.MULTILINE)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the plain values of YAML 1.2 and unique keys that are text."""

    # Instead of those of YAML 1.1.
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - as PyYAML declares it
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def compose_scalar_node(self, anchor: Any) -> Any:  # noqa: ANN401 - as PyYAML's
        """Take a plain value after a lone ``!`` for text, as YAML 1.2 does."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.tag == "!":
            event.tag = f"{_TAG}str"
        return super().compose_scalar_node(anchor)


def _refuse(node: Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _scalar(loader: _Loader, node: ScalarNode) -> object:
    """Construct a value by the table of its tag."""
    name = node.tag.removeprefix(_TAG)
    texts, meaning = _CORE[name]
    if not re.fullmatch(texts, node.value):
        raise _refuse(node, f"'{node.value}' is no !!{name} of YAML 1.2")
    try:
        return meaning(node.value)
    except UnicodeDecodeError:
        raise _refuse(node, "it escapes half of a surrogate pair") from None


def _mapping(loader: _Loader, node: Node) -> dict[str, Any]:
    """Construct a mapping whose keys are unique and text."""
    if not isinstance(node, MappingNode):
        raise _refuse(node, "!!map stands before what is no mapping")
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True) if _is_scalar(key_node) else None
        if not isinstance(key, str):
            text = f" '{key_node.value}'" if _is_scalar(key_node) and key_node.value else ""
            raise _refuse(key_node, f"the key{text} is not text; allowed: a name, or one in quotes")
        if key == "<<" and key_node.style is None:
            raise _refuse(key_node, "merge keys (<<) are not in YAML 1.2; write the keys out")
        if key in result:
            raise _refuse(key_node, f"key '{key}' stands twice")
        result[key] = loader.construct_object(value_node, deep=True)
    return result


def _sequence(loader: _Loader, node: Node) -> list[Any]:
    """Construct a sequence; at once, so that one that holds itself is refused."""
    if not isinstance(node, SequenceNode):
        raise _refuse(node, "!!seq stands before what is no sequence")
    return [loader.construct_object(child, deep=True) for child in node.value]


def _is_scalar(node: Node) -> bool:
    return isinstance(node, ScalarNode)


def _unknown(loader: _Loader, node: Node) -> object:
    """Refuse a tag that is not in the core schema."""
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
    """Return the value of a YAML text.

    Raises:
        UserError: it is not YAML 1.2, holds several documents, or a key stands twice.
    """
    found = _ONCE_BREAKS.search(text)
    if found:
        where = f"{source}, line {text.count(chr(10), 0, found.start()) + 1}"
        raise UserError(
            f"{where}: not YAML: U+{ord(found[0]):04X} breaks a line in YAML 1.1 and not in 1.2; "
            "allowed: a line feed"
        )
    if _VERSION_1_1.search(text):
        raise UserError(f"{source}: not YAML: it asks for YAML 1.1; allowed: 1.2, or no %YAML line")
    try:
        # A subclass of SafeLoader: it makes plain values only.
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
            f"{source}: its aliases stand for {count:.0e} values; allowed: up to {_MOST_VALUES:.0e}"
        )
    return content


def _values(content: object, known: dict[int, int]) -> int:
    """Return how many values there are in nested collections, each as often as it stands there."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        inner = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_values(value, known) for value in inner)
    return known[id(content)]


def _reason(error: yaml.MarkedYAMLError) -> str:
    """Return what is wrong, where PyYAML's own words are not enough."""
    problem = error.problem or type(error).__name__
    if isinstance(error, yaml.composer.ComposerError) and "another document" in problem:
        return "it holds several documents; allowed: one"
    if "'\\t'" in problem:
        return "a tab stands where spaces are expected"
    return problem


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - YAML holds anything
    """Return the value of a YAML file.

    Raises:
        UserError: it cannot be read, or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not YAML: it is not UTF-8 text") from None
    return parse_yaml(text, str(path))
