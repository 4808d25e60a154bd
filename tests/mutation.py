"""Mutation check: change the numerical and storage core in small ways; the tests have to notice.

`make mutation` mutates a random sample by mutmut, runs for each mutant the tests that reach it, and
prints the score and the survivors. `[tool.mutmut]` in pyproject.toml lists the modules and tests.
A copy of the project in `mutants/` is changed, never the project itself.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPY = ROOT / "mutants"
MUTMUT = str(Path(sys.executable).parent / "mutmut")
UNNOTICED = ("survived", "no tests")

NOTHING = "no.such.mutant"


def mutmut(*names: str) -> str:
    """Run mutmut over some mutants and return what it printed."""
    # Processes that tests start import the mutated copy, too.
    environment = {**os.environ, "PYTHONPATH": str(COPY)}
    done = subprocess.run(
        [MUTMUT, "run", *names],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def exit_codes() -> dict[str, int | None]:
    """Return the exit code of every mutant by name, None where it was not run."""
    found: dict[str, int | None] = {}
    for path in COPY.rglob("*.meta"):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def main() -> None:
    """Run a sample and print its score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="mutants of the sample")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", default="", help="mutants whose names contain this text alone")
    options = parser.parse_args()
    printed = mutmut(NOTHING)  # makes the mutants and finds which tests reach which function
    names = sorted(name for name in exit_codes() if options.only in name)
    if f"Filter: ('{NOTHING}',)" not in printed or not names:
        sys.exit(f"mutmut failed:\n{printed[-4000:]}")
    sample = random.Random(options.seed).sample(names, min(options.count, len(names)))
    print(f"{len(sample)} of {len(names)} mutants, seed {options.seed}", flush=True)
    mutmut(*sample)
    codes = exit_codes()
    from mutmut.stats import status_by_exit_code  # noqa: PLC0415 - reads the configuration

    outcomes = {name: status_by_exit_code[codes[name]] for name in sample}
    for name, outcome in sorted(outcomes.items()):
        if outcome in UNNOTICED:
            print(f"{outcome}: {name}")
    counts = Counter(outcomes.values())
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    run = len(sample) - counts["not checked"]
    noticed = run - sum(counts[outcome] for outcome in UNNOTICED)
    print(f"score: {noticed} of {run} ({noticed / max(run, 1):.0%})")


if __name__ == "__main__":
    main()
