"""Settings that follow an axis, such as more training steps for larger images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from factorlab.errors import UserError
from factorlab.formatting import listed
from sweeps.planning.search.spec import Axes, AxisRange

Tied = dict[str, dict[str, dict[str, Any]]]
"""For each setting, by dotted key: the axis that it follows, and its value at each value of it, as
text."""


def follow(
    tied: Mapping[str, Mapping[str, Mapping[str, Any]]], point: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """Return the values of tied settings at a point, by dotted key.

    Args:
        tied: Settings that follow an axis.
        point: Values by axis.
        source: Name or file of the experiment, for error messages.

    Raises:
        UserError: A setting has no value for the point.
    """
    found = {}
    for key, leads in tied.items():
        for axis, values in leads.items():
            if axis not in point:
                continue
            given = point[axis] if isinstance(point[axis], str) else json.dumps(point[axis])
            if given not in values:
                raise UserError(
                    f"{source}: tied.{key}.{axis}: no value for {axis} = {given}; "
                    f"given for: {listed(values)}"
                )
            found[key] = values[given]
    return found


def check(tied: Tied, axes: Axes, source: str) -> None:
    """Check that tied settings follow one axis with a list of values each.

    Raises:
        UserError: They do not.
    """
    for key, leads in tied.items():
        if key in axes:
            raise UserError(f"{source}: tied.{key}: it is an axis itself; remove one of the two")
        if len(leads) != 1:
            raise UserError(f"{source}: tied.{key}: follows {len(leads)} axes; allowed: one")
        (axis,) = leads
        if isinstance(axes.get(axis), AxisRange) or axis not in axes:
            raise UserError(f"{source}: tied.{key}.{axis}: no axis with a list of values")
