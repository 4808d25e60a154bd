"""Settings: what is refused, the wording, and that nothing but a `UserError` is raised."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factorlab.config import DataSettings, HeldOut, RunSettings
from factorlab.errors import UserError, suggestion
from factorlab.parsing import parse


def message_of(values):
    with pytest.raises(UserError) as caught:
        parse(values, "mine.yaml")
    message = str(caught.value)
    assert message.startswith("mine.yaml: ")
    assert "\n" not in message
    return message


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def at(settings, key):
    for part in key.split("."):
        settings = getattr(settings, part)
    return settings


def test_parse_nothing_gives_defaults():
    assert parse({}) == RunSettings()


@pytest.mark.parametrize(
    ("key", "meant", "also_allowed"),
    [
        ("sead", "seed", ["data", "training"]),
        ("data.sgima", "sigma", ["spacing", "subsample"]),
        ("training.learning_rte", "learning_rate", ["steps", "ema"]),
        ("data.held_out.widht", "width", ["kind", "centre"]),
    ],
)
def test_parse_names_unknown_key_with_suggestion(key, meant, also_allowed):
    values = nested(key, 1)
    if "held_out" in key:
        values["data"]["held_out"] |= {"kind": "box", "width": 2}
    message = message_of(values)
    assert f"unknown key '{key}'" in message
    assert f"did you mean '{meant}'?" in message
    assert [name for name in also_allowed if name not in message] == []


def test_parse_misspelled_required_key_is_unknown():
    message = message_of({"data": {"held_out": {"kind": "box", "widht": 2}}})
    assert "'data.held_out.widht'" in message
    assert "did you mean 'width'?" in message


def test_suggestion_only_for_similar_word():
    assert "did you mean" not in message_of({"zzzz": 1})
    assert suggestion("zzzz", ["seed", "data"]) == ""
    assert suggestion("sed", ["seed", "data"]) == "; did you mean 'seed'?"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("data.size", "8", "integer"),
        ("data.size", 8.5, "integer"),
        ("data.size", 8.0, "integer"),
        ("data.size", True, "integer"),
        ("data.size", None, "integer"),
        ("data.size", [8], "integer"),
        ("data.size", 5, "6"),
        ("data.sigma", "1", "number"),
        ("data.sigma", True, "number"),
        ("data.sigma", 0, "greater than 0"),
        ("data.sigma", -1.0, "greater than 0"),
        ("data.sigma", math.nan, "finite"),
        ("data.sigma", math.inf, "finite"),
        ("data.sigma", [1.0, -2.0], "greater than 0"),
        ("data.spacing", 0, "greater than 0"),
        ("data.spacing", "fine", "number"),
        ("data.subsample", 0, "greater than 0"),
        ("data.subsample", 1.01, "less than or equal to 1"),
        ("data.subsample", math.nan, "finite"),
        ("data.subsample", "0.5", "number"),
        ("data.margin", 0, "greater than 0"),
        ("data.family", "bmup", "'bump+stripes'"),
        ("data.periodic", 1, "boolean"),
        ("data.periodic", "yes", "boolean"),
        ("model.width", 6, "multiple of 4"),
        ("model.width", 0, "4"),
        ("diffusion.prediction", "x0", "'v'"),
        ("diffusion.timesteps", 1, "2"),
        ("diffusion.eta", 1.5, "1"),
        ("training.steps", 0, "1"),
        ("training.steps", "many", "integer"),
        ("training.learning_rate", 0, "greater than 0"),
        ("training.learning_rate", math.nan, "finite"),
        ("training.ema", 1, "less than 1"),
        ("training.stripe_share", 1, "less than 1"),
        ("evaluation.labels", "some", "'all'"),
        ("evaluation.every", -1, "0"),
        ("seed", -1, "0"),
        ("seed", 2**63, str(2**63)),
        ("seed", 1.5, "integer"),
        ("device", "tpu", "'cuda'"),
        ("data", 3, "object"),
        ("training", [], "object"),
    ],
)
def test_parse_names_refused_value_with_key(key, value, allowed):
    message = message_of(nested(key, value))
    # The key as the user wrote it, without parts that the validator adds.
    assert f" {key} = " in message or f" {key}: " in message or f" {key}.1 = " in message
    assert allowed in message


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"data": {"size": 8, "spacing": 7.5}}, ["data", "7.5", "7"]),
        ({"data": {"periodic": True, "family": "bump+stripes"}}, ["data", "bump+stripes", "sos"]),
        ({"data": {"periodic": True, "size": 8, "spacing": 0.3}}, ["data", "0.3", "8"]),
        ({"diffusion": {"timesteps": 10, "sampling_steps": 11}}, ["diffusion", "11", "10"]),
        (nested("data.held_out", {"kind": "rim", "width": 1, "centre": [1, 1]}), ["rim", "centre"]),
        (nested("data.held_out", {"kind": "cross", "width": 1, "place": "exterior"}), ["exterior"]),
    ],
)
def test_parse_refuses_contradicting_settings(values, words):
    message = message_of(values)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("values", [[], 3, None, "text", True])
def test_parse_refuses_anything_but_a_mapping(values):
    message = message_of(values)
    assert ":  =" not in message


def circular():
    value: list = []
    value.append(value)
    return value


def deep():
    value: list = []
    for _ in range(5000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [circular(), object(), {1, 2}, b"8", 16**5000],
    ids=["circular", "object", "set", "bytes", "huge"],
)
def test_parse_refuses_value_that_is_not_plain_data(value):
    message_of({"data": {"size": value}})


def test_parse_refuses_value_nested_too_deeply():
    with pytest.raises(UserError, match=r"mine\.yaml"):
        parse({"data": {"size": deep()}}, "mine.yaml")


def test_parse_refuses_key_that_is_not_plain_data():
    message_of({(1, 2): 3})


@pytest.mark.parametrize("key", ["seed", "data.size", "training.steps", "model.width"])
def test_run_settings_are_frozen(key):
    settings = RunSettings()
    *path, name = key.split(".")
    for part in path:
        settings = getattr(settings, part)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, name, 8)


def test_parse_list_of_two_numbers_is_a_pair():
    data = parse({"data": {"sigma": [1, 2.5], "spacing": [0.5, 1]}}).data
    assert (data.sigmas, data.spacings) == ((1.0, 2.5), (0.5, 1.0))
    assert (DataSettings(sigma=2.0).sigmas, DataSettings().spacings) == ((2.0, 2.0), (0.5, 0.5))


positive = st.floats(0.01, 5)
spacing = st.floats(0.05, 5)  # finer lattices are refused at larger sizes
valid = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**63 - 1),
        "device": st.sampled_from(["auto", "cpu", "cuda"]),
        "data": st.fixed_dictionaries(
            {"size": st.integers(8, 64)},
            optional={
                "family": st.sampled_from(["bump", "sos", "bump+stripes", "stripes"]),
                "sigma": positive | st.tuples(positive, positive).map(list),
                "spacing": spacing | st.tuples(spacing, spacing).map(list),
                "subsample": st.floats(0, 1, exclude_min=True),
                "held_out": st.none()
                | st.fixed_dictionaries(
                    {"kind": st.sampled_from(["box", "cross", "lesion", "rim"]), "width": positive}
                ),
            },
        ),
        "evaluation": st.fixed_dictionaries(
            {}, optional={"at": st.lists(st.integers(0, 500), max_size=3)}
        ),
        "training": st.fixed_dictionaries(
            {}, optional={"steps": st.integers(500, 10**9), "ema": st.floats(0, 0.999)}
        ),
    },
)


@given(valid)
def test_parse_keeps_valid_settings_through_json(values):
    settings = parse(values)
    assert parse(json.loads(settings.model_dump_json())) == settings
    assert parse(settings.model_dump()) == settings
    for group, inner in values.items():
        for key, value in inner.items() if isinstance(inner, dict) else []:
            kept = at(settings, f"{group}.{key}")
            if isinstance(kept, HeldOut):
                kept = {"kind": kept.kind, "width": kept.width}
            assert kept == (tuple(value) if isinstance(value, list) else value)


keys = st.sampled_from(
    [*RunSettings.model_fields, *DataSettings.model_fields, *HeldOut.model_fields, "steps", "ema"]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=2)
)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys | st.text(max_size=3) | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


def is_parsed_or_refused(values):
    """Return whether parsing gives settings, or raises a `UserError` that names the source."""
    try:
        return isinstance(parse(values, "junk.yaml"), RunSettings)
    except UserError as error:
        return str(error).startswith("junk.yaml: ")


@given(st.dictionaries(keys | st.text(max_size=3), junk, max_size=5) | junk)
def test_parse_junk_raises_only_user_error(values):
    assert is_parsed_or_refused(values)


@given(keys, keys, junk)
def test_parse_nested_junk_raises_only_user_error(outer, inner, value):
    assert is_parsed_or_refused({outer: value})
    assert is_parsed_or_refused({"data": {inner: value}})
    assert is_parsed_or_refused({"data": {"held_out": {inner: value}}})


@pytest.mark.parametrize("family", ["bump", "bump+stripes"])
@pytest.mark.parametrize("value", [5e-324, 1e-300, 1e300, 1.7e308])
@pytest.mark.parametrize("key", ["sigma", "spacing", "stripe_spacing", "margin"])
def test_lengths_at_the_ends_of_floats_are_allowed_or_refused(key, value, family):
    try:
        found = parse({"data": {key: value, "family": family}})
    except UserError as error:
        assert "data" in str(error)  # noqa: PT017 - both ends are right
    else:
        assert getattr(found.data, key) == value
