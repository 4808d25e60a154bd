"""Arguments that several functions share: the runs folder, and plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def runs_folder(runs: str | Path | None, *, exists: bool = True) -> Path:
    """Return the folder of all records: the given one, else FACTORLAB_RUNS, else ``runs``.

    Raises:
        UserError: The folder does not exist and has to.
    """
    from factorlab.errors import UserError

    path = Path(runs or os.environ.get("FACTORLAB_RUNS") or "runs").expanduser()
    if exists and not path.is_dir():
        raise UserError(f"{path}: the runs folder does not exist; select another with runs=")
    return path


def plain(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return a mapping as plain JSON values: tuples become lists, scalars of NumPy numbers.

    Raises:
        UserError: A value has no plain form.
    """
    from factorlab.errors import UserError

    def convert(value: object) -> object:
        if hasattr(value, "tolist"):  # a scalar or an array of NumPy
            return value.tolist()
        if isinstance(value, Path):
            return str(value)
        raise TypeError(f"a value of type {type(value).__name__}")

    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(values), default=convert))
    except (TypeError, ValueError) as error:
        raise UserError(f"{source}: {error}; allowed: numbers, texts, lists, None") from None
    return found


def console() -> Console:
    """Return a console for progress and messages.

    In a notebook without `ipywidgets` rich would not update its display. A plain terminal line is
    used there, which notebooks do update.
    """
    from importlib.util import find_spec

    from rich.console import Console

    found = Console(stderr=True, markup=False)
    if not found.is_jupyter:
        return found
    if find_spec("ipywidgets") is not None:
        return Console(markup=False)
    return Console(markup=False, force_jupyter=False, force_terminal=True, width=90)
