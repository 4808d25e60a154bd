"""YAML files: the core schema of YAML 1.2, and where it differs from YAML 1.1."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab.errors import UserError
from sweeps.planning.yaml_file import parse_yaml, read_yaml

# YAML 1.2.2, section 10.3.2, "Tag Resolution", and the examples of 10.3.
NULLS = ["", "null", "Null", "NULL", "~"]
TRUES, FALSES = ["true", "True", "TRUE"], ["false", "False", "FALSE"]
NUMBERS = {
    "0": 0, "7": 7, "+12": 12, "-19": -19, "017": 17, "08": 8, "-017": -17,
    "0o7": 7, "0o17": 15, "0x3A": 58, "0xff": 255,
    "0.": 0.0, "-0.0": -0.0, ".5": 0.5, "-.5": -0.5, "+12e03": 12000.0, "-2E+05": -200000.0,
    "1e3": 1000.0, "1.8e3": 1800.0, "1.e-3": 0.001, "12.3e1": 123.0,
    ".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf,
}  # fmt: skip
TEXTS = [
    "yes", "Yes", "no", "NO", "on", "Off", "y", "n",  # booleans of YAML 1.1
    "12:30", "1:20:30.5", "190:20:30",  # its base 60
    "0b11", "-0x1F", "-0o7", "1_000", "0x_ff", "685_230.15",  # its other integers
    "2001-12-15", "2001-12-15T02:59:43.1Z", "2001-12-14 21:59:43.10 -5",  # its times
    "=", "nULL", "tRUE", ".iNf", ".NaNs", "+.nan", "1e", ".", "..", "+", "0o8", "0xg", "٣",
]  # fmt: skip


@pytest.mark.parametrize("place", ["{}", "a: {}", "- {}", "a: {{b: {} }}"])
@pytest.mark.parametrize(
    ("texts", "value"), [(NULLS, None), (TRUES, True), (FALSES, False)], ids=str
)
def test_parse_yaml_null_and_booleans(place, texts, value):
    for text in texts:
        assert _inner(parse_yaml(place.format(text), "here")) is value


@pytest.mark.parametrize(("text", "value"), NUMBERS.items())
def test_parse_yaml_numbers(text, value):
    found = parse_yaml(f"a: {text}", "here")["a"]
    assert found == value
    assert type(found) is type(value)
    assert math.copysign(1, found) == math.copysign(1, value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_parse_yaml_nan(text):
    assert math.isnan(parse_yaml(text, "here"))


@pytest.mark.parametrize("text", TEXTS)
def test_parse_yaml_keeps_yaml_1_1_values_as_text(text):
    assert parse_yaml(f"a: {text}", "here") == {"a": text}
    assert parse_yaml(f"[{text}]", "here") == [text]


@pytest.mark.parametrize("text", [*NULLS[1:], *TRUES, *FALSES, *NUMBERS, ".nan"])
@pytest.mark.parametrize("form", ["'{}'", '"{}"', "!!str {}", "! {}", "|-\n  {}"])
def test_parse_yaml_keeps_quoted_values_as_text(form, text):
    assert parse_yaml("a: " + form.format(text), "here") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [("!!int 0o17", 15), ("!!int '12'", 12), ("!!float 12", 12.0), ("!!bool TRUE", True),
     ("!!null ''", None), ("!!map {a: 1}", {"a": 1}), ("!!seq [1]", [1])],
)  # fmt: skip
def test_parse_yaml_core_schema_tags(text, value):
    found = parse_yaml(text, "here")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("!!timestamp 2001-12-15", "the tag !!timestamp is not in YAML 1.2's core schema"),
        ("!!binary aGk=", "the tag !!binary"),
        ("!!set {x, y}", "the tag !!set"),
        ("!!omap [a: 1]", "the tag !!omap"),
        ("!!pairs [a: 1]", "the tag !!pairs"),
        ("!!value =", "the tag !!value"),
        ("!!python/name:os.system ''", "the tag !!python/name:os.system"),
        ("!mine 1", "the tag !mine"),
        ("!!int 0b1", "'0b1' is not a valid !!int"),
        ("!!int 12:30", "'12:30' is not a valid !!int"),
        ("!!float 1_0.5", "'1_0.5' is not a valid !!float"),
        ("!!bool yes", "'yes' is not a valid !!bool"),
        ("!!null none", "'none' is not a valid !!null"),
        ("!!map [1]", "!!map is not followed by a mapping"),
        ("!!seq {a: 1}", "!!seq is not followed by a sequence"),
        ("{<<: {a: 1}, b: 2}", "merge keys (<<) are not in YAML 1.2"),
        ("{a: 1, a: 2}", "the key 'a' is used twice"),
        ("{a: 1, 'a': 2}", "the key 'a' is used twice"),
        ("{1: a}", "the key '1' is not text"),
        ("{1.5: a}", "the key '1.5' is not text"),
        ("{true: a}", "the key 'true' is not text"),
        ("{null: a}", "the key 'null' is not text"),
        ("{.nan: a}", "the key '.nan' is not text"),
        ("{[1]: a}", "the key is not text"),
        ("{a: 1}\n---\n{b: 1}", "several documents"),
        ("{a: 1}\n---\n", "several documents"),
        ("a:\t1", "a tab is used where spaces are expected"),
        ("\ta: 1", "a tab is used where spaces are expected"),
        ("a:\n\tb: 1", "a tab is used where spaces are expected"),
        ("%YAML 1.1\n---\na: 1", "it declares YAML 1.1"),
        ("a: x\x85b: 1", "U+0085 is a line break in YAML 1.1"),
        ("a: x\u2028b: 1", "U+2028 is a line break in YAML 1.1"),
        ('"\\ud800"', "half of a surrogate pair"),
        ("&a [*a]", "recursive"),
        ("9" * 5000, "digits"),
    ],
)
def test_parse_yaml_refuses_what_yaml_1_2_lacks(text, reason):
    with pytest.raises(UserError, match=r"^here[^\n]*: not YAML: [^\n]*$") as error:
        parse_yaml(text, "here")
    assert reason in str(error.value)


def test_parse_yaml_refuses_exponential_aliases():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join(10 * [f'*a{i - 1}'])}]" for i in range(1, 9)]
    with pytest.raises(UserError, match=r"^here: its aliases expand to 1e\+09 values"):
        parse_yaml("\n".join(lines), "here")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\ufeffa: 1", {"a": 1}),
        ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("{'<<': 1}", {"<<": 1}),
        ("on: 1\nno: 2", {"on": 1, "no": 2}),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("a: 1\r\nb: 2\r", {"a": 1, "b": 2}),
    ],
)
def test_parse_yaml_reads_yaml_1_2(text, value):
    assert parse_yaml(text, "here") == value


def test_read_yaml_with_byte_order_mark(tmp_path):
    path = tmp_path / "marked.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_yaml(path) == {"name": "x"}


CORE_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
CORE_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@given(st.text("0123456789abcdefoxEXB+-._:", min_size=1, max_size=8))
def test_parse_yaml_numbers_follow_core_schema(text):
    try:
        found = parse_yaml(f"[{text}]", "here")
    except UserError:  # such as a hyphen by itself, or a colon at the end
        return
    if isinstance(found[0], dict) or len(found) != 1:
        return
    if CORE_INT.fullmatch(text):
        assert type(found[0]) is int
    elif CORE_FLOAT.fullmatch(text):
        assert found == [float(text)]
        assert type(found[0]) is float
    elif text not in (".inf", "-.inf", "+.inf", ".nan"):
        assert isinstance(found[0], str)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_parse_yaml_agrees_with_json(value):
    text = json.dumps(value).replace("Infinity", "1e999")  # all that JSON can write of it
    found = parse_yaml(text, "here")
    assert json.dumps(found) == json.dumps(json.loads(text))


def _inner(value):
    """Return the only value of nested collections."""
    while isinstance(value, dict | list):
        (value,) = value.values() if isinstance(value, dict) else value
    return value
