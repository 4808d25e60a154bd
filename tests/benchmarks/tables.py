"""Write the tables of performance into the documentation, from the history of benchmarks.

``python -m tests.benchmarks.tables`` rewrites what lies between a comment that begins with
``measured:`` and the next ``<!-- end -->``. The comment is YAML:

- ``measured``: a mapping from tables of the history to the times of the runs to show,
- ``command``: what measured them,
- ``first``: heading of the first column,
- ``columns``: a mapping from quantities to their headings, in the order to show; all by default,
- ``rows``: a mapping from cases to how they are called; by default as they are.

A test keeps the pages equal to what this script writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tests.benchmarks.report import HISTORY, readable

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(r"<!--\n(measured:.*?)-->\n.*?<!-- end -->", re.DOTALL)


def rewritten(text: str, history: Path = HISTORY) -> str:
    """Return a page with its tables as the history has them.

    Raises:
        ValueError: A comment names a run, a case or a quantity that the history does not have.
    """
    known = pd.read_csv(history, keep_default_na=False)

    def block(found: re.Match[str]) -> str:
        lines = "\n".join(_lines(yaml.safe_load(found[1]), known))
        return f"<!--\n{found[1]}-->\n\n{lines}\n\n<!-- end -->"

    return _BLOCK.sub(block, text)


def _lines(wanted: Mapping[str, Any], known: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of a table, and what was run, when and where."""
    named = [(table, time) for table, times in wanted["measured"].items() for time in times]
    runs = [_run(known, table, time) for table, time in named]
    chosen = pd.concat(runs)
    units = dict(zip(chosen["quantity"], chosen["unit"], strict=True))
    if len(chosen[["quantity", "unit"]].drop_duplicates()) > len(units):
        raise ValueError(f"{', '.join(wanted['measured'])}: a quantity has several units")
    columns = wanted.get("columns") or dict.fromkeys(units)
    rows = wanted.get("rows", {})
    _check(columns, units, "quantity")
    _check(rows, chosen["case"], "case")
    heads = [heading or _with_unit(name, units[name]) for name, heading in columns.items()]
    yield _row(wanted.get("first", ""), *heads)
    yield _row(*["---"] * (1 + len(heads)))
    for run in runs:
        for case in dict.fromkeys(run["case"]):
            if case not in (rows or run["case"].values):
                continue
            values = run[run["case"] == case].set_index("quantity")["value"].astype(float)
            cells = (readable(values[name]) if name in values else "" for name in columns)
            yield _row(rows.get(case) or case, *cells)
    yield ""
    machines = dict.fromkeys(run["machine"].iloc[0] for run in runs)
    days = dict.fromkeys(str(run["time"].iloc[0])[:10] for run in runs)
    commits = dict.fromkeys(str(run["revision"].iloc[0]) for run in runs)
    code = " and ".join(
        f"`{one.rstrip('+')}`{' with changes' if one.endswith('+') else ''}" for one in commits
    )
    yield f"`{wanted['command']}`, {' and '.join(days)}, {' and '.join(machines)}, commit {code}."


def _run(known: pd.DataFrame, table: str, time: str) -> pd.DataFrame:
    found = known[(known["table"] == table) & (known["time"] == time)]
    if found.empty:
        raise ValueError(f"the history has no run of '{table}' at {time}")
    return found


def _check(names: Mapping[str, Any], known: Any, what: str) -> None:
    unknown = [name for name in names if name not in set(known)]
    if unknown:
        raise ValueError(f"the history has no {what} '{unknown[0]}' in this run")


def _with_unit(name: str, unit: str) -> str:
    return f"{name}, {unit}" if unit else name


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def pages() -> list[Path]:
    """Return the pages that have such tables."""
    found = sorted(DOCS.rglob("*.md"))
    return [path for path in found if _BLOCK.search(path.read_text(encoding="utf-8"))]


def main() -> None:
    """Rewrite the tables of all pages."""
    for page in pages():
        page.write_text(rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
