"""Convert nested plain values to run settings and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from factorlab.config import RunSettings
from factorlab.errors import UserError, describe


def parse(values: dict[str, Any], source: str = "settings") -> RunSettings:
    """Return the run settings that nested values describe.

    Args:
        values: Nested settings, as read from YAML or JSON. Missing settings take their defaults.
        source: File or option to name in error messages.

    Returns:
        The validated settings.

    Raises:
        UserError: A key is unknown, or a value has the wrong type or is not allowed.
    """
    try:
        # Through JSON: strict mode then accepts a list as a pair, but no string as a number.
        return RunSettings.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError(describe(error, RunSettings, source)) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{source}: a value is not plain YAML data: {error}") from None


def setting_keys(model: type[BaseModel] = RunSettings, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all settings."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        groups = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if groups:
            yield from setting_keys(groups[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def annotation_of(key: str) -> object:
    """Return the type of a setting, or the model of a group, by its dotted key.

    Returns None if there is no such key, and below a group that may be missing.
    """
    model: type[BaseModel] = RunSettings
    *groups, name = key.split(".")
    for group in groups:
        field = model.model_fields.get(group)
        below = field.annotation if field else None
        if not (isinstance(below, type) and issubclass(below, BaseModel)):
            return None
        model = below
    field = model.model_fields.get(name)
    return field.annotation if field else None


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted keys; lists become tuples."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = tuple(value) if isinstance(value, list) else value
    return flat
