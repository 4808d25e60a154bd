"""What a benchmark measured: a table to read, and a history in which a slowdown shows.

Every script of this folder ends with `publish`. The history is `history.csv` beside this file; a
line in it is one number of one run, and numbers are compared on the same machine only.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pandas as pd
import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from factorlab.provenance import code_record

HISTORY = Path(__file__).with_name("history.csv")

NOISE = 1.3
"""Factor by which shared machines differ from run to run; what is worse than that is named."""

REMEMBERED = 5
"""Earlier runs whose median a number is compared with."""

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Measurement:
    """One number of a table: a row (case) and a column (quantity)."""

    case: str
    """The row, such as `N = 32, width 8`."""

    quantity: str
    """The column, such as `step over eager`."""

    value: float
    unit: str = ""
    better: Better = "neither"


def machine() -> str:
    """Return what a number depends on beside the code: processor and number of cores.

    A rented machine's name may stand for several generations; their model number tells them apart.
    """
    facts = _cpuinfo()
    name = facts.get("model name") or platform.processor() or platform.machine()
    model = f", model {facts['model']}" if "model" in facts else ""
    return f"{name}{model}, {psutil.cpu_count()} cores"


def _cpuinfo() -> dict[str, str]:
    """Return what Linux says of the first processor, by name."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def as_table(measurements: Sequence[Measurement]) -> Table:
    """Return the measurements as Markdown, one line a case."""
    quantities = list(dict.fromkeys((m.quantity, m.unit) for m in measurements))
    values = {(m.case, m.quantity): readable(m.value) for m in measurements}
    table = Table(box=box.MARKDOWN)
    table.add_column("")
    for quantity, unit in quantities:
        table.add_column(f"{quantity}, {unit}" if unit else quantity, justify="right")
    for case in dict.fromkeys(m.case for m in measurements):
        table.add_row(case, *(values.get((case, quantity), "") for quantity, _ in quantities))
    return table


def readable(value: float) -> str:
    """Return three digits, and all before the point; a difference that is rounding alone is 0."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 12):.3g}"


def slowdowns(table: str, measurements: Sequence[Measurement], history: Path) -> list[str]:
    """Return a sentence for every number that is worse than before by more than the noise."""
    if not history.exists():
        return []
    past = pd.read_csv(history, keep_default_na=False)
    past = past[(past["machine"] == machine()) & (past["table"] == table)]
    found = []
    for m in measurements:
        same = past[(past["case"] == m.case) & (past["quantity"] == m.quantity)]
        before = float(same["value"].astype(float).tail(REMEMBERED).median())
        low, high = (before, m.value) if m.better == "lower" else (m.value, before)
        # False where there is nothing before: NaN.
        if m.better != "neither" and high > NOISE * low:
            found.append(
                f"worse than before: {table}, {m.case}, {m.quantity}: {m.value:.3g} {m.unit} "
                f"where the median of earlier runs is {before:.3g}"
            )
    return found


def changes_code(difference: bytes) -> bool:
    """Return whether a difference from the commit has more than numbers added to the history."""
    heads = [line for line in difference.splitlines() if line.startswith(b"diff --git ")]
    return any(not line.endswith(f"/{HISTORY.name}".encode()) for line in heads)


def publish(
    table: str, title: str, measurements: Sequence[Measurement], history: Path = HISTORY
) -> None:
    """Print a table and what has become worse, and add the numbers to the history.

    Args:
        table: name in the history.
        title: heading of the printed table.
        measurements: in the order to print.
        history: a CSV file; made if missing.
    """
    console = Console(width=200, highlight=False)
    console.print(title, style="bold", soft_wrap=True)
    console.print(as_table(measurements))
    for sentence in slowdowns(table, measurements, history):
        console.print(sentence, style="bold red", soft_wrap=True)
    code = code_record.revision()
    common = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": (code.commit or "unknown")[:12] + ("+" if changes_code(code.diff) else ""),
        "machine": machine(),
        "table": table,
    }
    lines = pd.DataFrame([common | asdict(m) for m in measurements])
    lines.to_csv(history, mode="a", index=False, header=not history.exists())
