"""What the analysis of representations costs: of a trial by optimizer step, and of each measure.

A trial of N = 8 keeps what its layer 4 puts out for 1024 labels, and `factorlab analyse`'s work on
it is done in a process of its own on one core. The first step pays the warm-up: imports, and what
UMAP compiles. The last one draws the figures too.

The same process then takes the measures one by one at the papers' width, 64 x 16 x 16 features for
each of 1024 labels, on a Clifford torus with noise of a tenth of its radius, mapped from disk in
half precision; then all of them, as for a checkpoint.
"""

# A child imports what it measures on the core that it was given.
# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.benchmarks.memory import in_child, resident

if TYPE_CHECKING:
    from analysis.measures.checkpoint import Measures

Result = TypeVar("Result")

LAYER = "layer4"
SIDE = 32
FEATURES = 64 * 16 * 16
NOISE = 0.1
"""Expected length of a sample's error, over the radius of each circle."""

SETTINGS = {
    "data": {"size": 8, "spacing": 0.5, "periodic": True},
    "model": {"width": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 5},
    "training": {"steps": 220, "batch_size": 32, "learning_rate": 1e-2},
    "evaluation": {"samples": 128, "at": [0, 100]},
    "representations": {"layers": [LAYER], "grid": SIDE},
}
SHOWN = ("accuracy", "dimension", "factorization", "r_squared_x", "betti_1", "betti_2")
"""Of what was measured: that the trial is one worth measuring."""


def trained(runs: Path, steps: int) -> str:
    """Train the trial and return its key."""
    from factorlab.parsing import parse
    from factorlab.trial import Trial

    training = {**SETTINGS["training"], "steps": steps}
    trial = Trial(parse({**SETTINGS, "training": training}), runs)
    for _ in trial.run():
        pass
    return trial.record.key


def course_of(runs: Path, key: str) -> list[dict[str, float]]:
    """Analyse a trial here; returns seconds, peak memory in MB and measures of each step."""
    begin = time.perf_counter()
    from analysis import training_dynamics
    from factorlab.storage.record import Record

    record, rows = Record(runs, key), []
    for step in training_dynamics.analyse(record, LAYER):
        rows.append({"step": step, "seconds": time.perf_counter() - begin, "peak": resident()})
        begin = time.perf_counter()
    table = training_dynamics.table(record, LAYER).set_index("step")
    return [row | table.loc[row["step"], list(SHOWN)].to_dict() for row in rows]


def write_wide(path: Path) -> None:
    """Write a noisy Clifford torus in many features."""
    import numpy as np

    from analysis.measures.factorization import clifford_torus

    rng = np.random.default_rng(0)
    frame, _ = np.linalg.qr(rng.normal(size=(FEATURES, 4)))
    points = clifford_torus(SIDE, SIDE).reshape(-1, 4) @ frame.T
    points += rng.normal(0, NOISE / FEATURES**0.5, points.shape)
    np.save(path, points.astype(np.float16))


def parts_of(path: Path) -> dict[str, float]:
    """Measure representations here; returns the seconds of each part, and the peak in MB."""
    import numpy as np

    from analysis.figures import checkpoint as checkpoint_figures
    from analysis.measures import embedding, factorization, topology
    from analysis.measures.checkpoint import measure
    from analysis.measures.pca import principal
    from analysis.plotting import figure_io

    points = np.load(path, mmap_mode="r")
    axis = np.arange(SIDE, dtype=float)
    labels = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    sides, folder = (SIDE, SIDE), path.parent / "figures"
    seconds = {}

    def timed(part: str, call: Callable[..., Result], *given: Any, **options: Any) -> Result:
        begin = time.perf_counter()
        result = call(*given, **options)
        seconds[part] = time.perf_counter() - begin
        return result

    def draw(found: Measures) -> None:
        for name in checkpoint_figures.available():
            figure_io.save(checkpoint_figures.load(name).draw(found), folder, name, ("png",))

    scores = timed("principal components", principal, points).scores
    grid = scores.reshape(*sides, -1)
    timed("angles", factorization.angles, grid, periodic=True)
    timed("score", factorization.score, grid, periodic=True)
    timed("homology", topology.persistence, scores)
    timed("UMAP", embedding.embed, scores, 3)
    timed("regressions", embedding.cross_validated, scores, labels)
    measures = timed("all measures", measure, points, labels, sides, period=SIDE)
    timed("figures", draw, measures)
    return seconds | {"peak": resident()}


def publish_all(steps: int, file: Path) -> None:
    """Measure and publish."""
    from tests.benchmarks.report import Measurement, publish

    with tempfile.TemporaryDirectory(prefix="factorlab-bench-") as name:
        key = trained(Path(name), steps)
        wide = Path(name) / "wide.npy"
        write_wide(wide)
        rows, taken = in_child(__spec__.name, name, key, str(wide))
        size = wide.stat().st_size / 1e6
    found = []
    for row in rows:
        case = f"step {row['step']}"
        found += [
            Measurement(case, "analysis", row["seconds"], "s", "lower"),
            Measurement(case, "peak", row["peak"], "MB", "lower"),
            *(Measurement(case, quantity, row[quantity]) for quantity in SHOWN),
        ]
    title = f"Analysis of a trial's {LAYER}, {SIDE**2} labels, on one core"
    publish("analysis", title, found, file)
    peak = taken.pop("peak")
    found = [Measurement(part, "seconds", spent, "s", "lower") for part, spent in taken.items()]
    found.append(Measurement("all measures", "peak", peak, "MB", "lower"))
    title = f"Measures of {SIDE**2} x {FEATURES} representations, {size:.0f} MB on disk"
    publish("measures", title, found, file)


def main() -> None:
    """Measure and publish."""
    from tests.benchmarks.report import HISTORY

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="to see that it runs")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    options = parser.parse_args()
    publish_all(2 if options.quick else SETTINGS["training"]["steps"], options.history)


def child(runs: str, key: str, wide: str) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Return what a parent asked for, measured on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return course_of(Path(runs), key), parts_of(Path(wide))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(*sys.argv[2:])))
    else:
        main()
