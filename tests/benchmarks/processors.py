"""How far results differ between processors, beside how far they differ between seeds.

The same runs train with all instructions of this processor and with those of an old one (SSE 4.1).
Kernels then round differently, and training amplifies this until weights differ in every digit. A
crossing's interval holds the scatter of runs with different seeds, so a difference between
processors is covered as long as it is no larger.

Runs are those of the scaling experiment near the crossing of bumps alone, where accuracy is most
sensitive.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from analysis.tables.loading import trials_table
from factorlab.storage.record import recorded
from tests.benchmarks.report import Measurement, publish

OLD = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "NUMBA_CPU_NAME": "generic",
}
SETS = {"native": {}, "old": OLD}

EXPERIMENT = {
    "name": "processors",
    "base": {
        "data": {"sigma": 1.0, "spacing": 0.5, "subsample": 0.035},
        "model": {"width": 8},
        "diffusion": {"prediction": "v"},
        "training": {"steps": 450, "batch_size": 32},
        "evaluation": {"samples": 400},
    },
}


def trained(folder: Path, instructions: dict[str, str]) -> "pd.Series[float]":
    """Train the runs in a sweep; return their accuracies by N and seed."""
    runs = folder / "runs"
    command = [sys.executable, "-m", "sweeps.cli", "sweep", str(folder.parent / "processors.yaml")]
    subprocess.run(
        [*command, f"--runs={runs}", f"--figures={folder / 'figures'}"],
        env={**os.environ, **instructions},
        check=True,
        stdout=sys.stderr,
    )
    table = trials_table(runs, sorted(recorded(runs)))
    return table.set_index(["data.size", "seed"])["accuracy"].sort_index()


def measurements(found: pd.DataFrame) -> Iterator[Measurement]:
    """Yield the row of each N, in points of accuracy."""
    for size, rows in found.groupby("data.size"):
        case, points = f"N = {size}", 100 * rows
        difference = points["old"] - points["native"]
        seeds = float(np.sqrt(points.var(ddof=1).mean()))
        processors = float(difference.std(ddof=1) / np.sqrt(2))
        yield Measurement(case, "mean, native", float(points["native"].mean()), "points")
        yield Measurement(case, "mean, old", float(points["old"].mean()), "points")
        yield Measurement(case, "p of no shift", float(stats.ttest_1samp(difference, 0).pvalue))
        yield Measurement(case, "between processors", processors, "points")
        yield Measurement(case, "between seeds", seeds, "points")
        yield Measurement(case, "ratio", processors / seeds, "", "lower")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="runs of each N")
    parser.add_argument("--sizes", type=int, nargs="+", default=[7, 10])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="processors-") as name:
        axes = {"data.size": options.sizes, "seed": [*range(options.seeds)]}
        content = yaml.safe_dump({**EXPERIMENT, "axes": axes, "figures": []})
        Path(name, "processors.yaml").write_text(content, encoding="utf-8")
        accuracies = {}
        for instructions, environment in SETS.items():
            folder = Path(name, instructions)
            folder.mkdir()
            accuracies[instructions] = trained(folder, environment)
    title = f"the same {options.seeds} runs with two instruction sets; standard deviations"
    publish("processors", title, list(measurements(pd.DataFrame(accuracies))))


if __name__ == "__main__":
    main()
