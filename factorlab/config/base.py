"""What all groups of settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

Positive = Annotated[float, Field(gt=0)]
Pair = tuple[Positive, Positive]


class Settings(BaseModel):
    """Base class of all settings: frozen, strict types, no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @field_validator("*")
    @classmethod
    def _fits_64_bits(cls, value: object) -> object:
        """Refuse whole numbers that arrays and estimates, which compute with floats, cannot hold.

        Raises:
            ValueError: A number, or one of a tuple, does not fit into 64 bits.
        """
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, int) and not -(2**63) <= one < 2**63:
                raise ValueError("allowed: whole numbers from -2**63 to 2**63 - 1")
        return value
