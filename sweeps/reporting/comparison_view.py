"""A comparison of two sweeps in a terminal, as JSON and as CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from factorlab.errors import UserError
from factorlab.storage.files import write_atomically
from sweeps.reporting.comparison import Comparison, amount, interval, is_share, shown_values

if TYPE_CHECKING:
    import pandas as pd

MOST_SETTINGS, MOST_CELLS = 8, 12
"""Largest numbers of rows in the tables, so that both fit on a screen."""


def show(compared: Comparison, console: Console) -> None:
    """Print a comparison, no longer than a screen."""
    console.print(f"A: {compared.name_a}\nB: {compared.name_b}", highlight=False, soft_wrap=True)
    _print_settings(compared, console)
    _print_cells(compared, console)
    console.print(compared.summary, highlight=False, soft_wrap=True)


def _table(*columns: str, right: int = 0) -> Table:
    """Return a table whose last columns are numbers, aligned on the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(columns):
        numbers = index >= len(columns) - right
        table.add_column(name, justify="right" if numbers else "left", no_wrap=numbers)
    return table


def _print_settings(compared: Comparison, console: Console) -> None:
    rows = [(name, shown_values(a), shown_values(b)) for name, (a, b) in compared.facts.items()]
    settings = compared.found.settings[["setting", "values_a", "values_b"]].to_numpy().tolist()
    rows += [(str(name), shown_values(a), shown_values(b)) for name, a, b in settings]
    if not rows:
        console.print("All settings are the same.", highlight=False)
        return
    table = _table("differs", "A", "B")
    for shown in rows[:MOST_SETTINGS]:
        table.add_row(*shown)
    console.print(table)
    if len(rows) > MOST_SETTINGS:
        console.print(f"... and {len(rows) - MOST_SETTINGS} more; --json has all", highlight=False)


def _print_cells(compared: Comparison, console: Console) -> None:
    cells, metric = compared.found.cells, compared.found.metric
    if cells.empty:
        return
    keys = list(cells.columns[: list(cells.columns).index("runs_a")])
    title = f"{metric} (%)" if is_share(metric) else metric
    names = [key.removeprefix("data.") for key in keys]
    table = _table(*names, "pairs", f"A: {title}", "B", "B - A", "95 % interval", right=5)
    # The largest differences first.
    order = cells["difference"].abs().sort_values(ascending=False, kind="stable").index
    for _, row in cells.loc[order[:MOST_CELLS]].iterrows():
        numbers = (amount(metric, row["mean_a"]), amount(metric, row["mean_b"]))
        difference = amount(metric, row["difference"], signed=True)
        ends = interval(metric, row["low"], row["high"])
        settings = (shown_values([row[key]]) for key in keys)
        table.add_row(*settings, f"{row['pairs']:.0f}", *numbers, difference, ends)
    console.print(table)
    if len(cells) > MOST_CELLS:
        text = f"... and {len(cells) - MOST_CELLS} more cells; --csv FILE has all"
        console.print(text, highlight=False)


def as_json(compared: Comparison) -> str:
    """Return a comparison as JSON; numbers that are not finite are null."""
    found = compared.found
    overall, test = found.overall, found.test
    document = {
        "a": compared.name_a,
        "b": compared.name_b,
        "metric": found.metric,
        "summary": compared.summary,
        "facts": {name: {"a": a, "b": b} for name, (a, b) in compared.facts.items()},
        "settings": _rows(found.settings),
        "cells": _rows(found.cells),
        "pairs": _rows(found.pairs.drop(columns=["labels_a", "labels_b"], errors="ignore")),
        "only_a": _rows(found.only_a),
        "only_b": _rows(found.only_b),
        "unfinished": found.unfinished,
        "obstacle": found.obstacle,
        "difference": None if overall is None else overall.value,
        "low": None if overall is None else overall.low,
        "high": None if overall is None else overall.high,
        "p_value": None if test is None else test.p_value,
        "blocks": None if test is None else test.blocks,
    }
    return json.dumps(_plain(document), indent=2, ensure_ascii=False)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with plain numbers, and None in place of those that are not finite."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):  # a scalar of NumPy
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_csv(compared: Comparison, path: Path) -> int:
    """Write the table of cells, and return the number of rows.

    Raises:
        UserError: The file cannot be written.
    """
    text = compared.found.cells.to_csv(index=False, lineterminator="\n")
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    return len(compared.found.cells)
