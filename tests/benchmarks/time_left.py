"""How right the time left of a real sweep is.

Runs a sweep without a terminal, shows its lines, and compares the time left that they state with
what the training then took.

    python -m tests.benchmarks.time_left full-range --profile laptop --runs runs
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.helpers.processes import FACTORLAB

SHARES = (0.1, 0.25, 0.5, 0.75)
"""Shares of the work at which the time left is compared."""

UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86400}

_LEFT = re.compile(r"(\d+) % of the work, about ([\d.]+) (s|min|h|days) left$")
_PROGRESS = re.compile(r": \d+ of \d+ done, \d+ running")


@dataclass(frozen=True)
class Statement:
    """A line that states the time left."""

    at: float
    """Seconds since the command began."""

    share: float
    """Share of the work that is done."""

    left: float
    """Stated seconds left, as rounded in the line."""


def statements(lines: Iterable[tuple[float, str]]) -> tuple[list[Statement], float]:
    """Return what progress lines state, and when the last progress line came.

    Args:
        lines: Seconds since the command began, and the line.
    """
    found, end = [], 0.0
    for at, line in lines:
        if _PROGRESS.search(line):
            end = at
        if matched := _LEFT.search(line):
            share, number, unit = matched.groups()
            found.append(Statement(at, int(share) / 100, float(number) * UNITS[unit]))
    return found, end


def measurements(case: str, stated: list[Statement], end: float) -> list[Measurement]:
    """Return how long the training took, and at each share the stated and the true time left."""
    found = [Measurement(case, "training", end, "s")]
    for share in SHARES:
        first = next((one for one in stated if one.share >= share), None)
        if first is not None and end > first.at:
            at = f"at {share:.0%}"
            true = end - first.at
            found.append(Measurement(case, f"{at}, stated", first.left, "s"))
            found.append(Measurement(case, f"{at}, true", true, "s"))
            found.append(Measurement(case, f"{at}, stated / true", first.left / true))
    return found


def follow(command: list[str]) -> Iterator[tuple[float, str]]:
    """Run a command, and yield the lines of its progress as they come.

    Raises:
        subprocess.CalledProcessError: It did not end with status 0.
    """
    begin = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            at = time.monotonic() - begin
            print(f"{at:7.0f} s  {line.rstrip()}", file=sys.stderr, flush=True)
            yield at, line.rstrip()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", help="name or file of an experiment")
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    given = parser.parse_args()
    options = {"profile": given.profile, "runs": given.runs, "figures": given.figures}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    stated, end = statements(follow([FACTORLAB, "sweep", given.experiment, *words]))
    case = f"{Path(given.experiment).stem}, {given.profile}"
    publish("time left", case, measurements(case, stated, end), given.history)


if __name__ == "__main__":
    main()
