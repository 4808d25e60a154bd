"""How many steps sampling needs: accuracy of the same models by sampler and number of steps.

Models that predict v and the noise, trained by the two recipes of `time_to_accuracy`, draw the
same labels from the same first noise by DDIM, by a DDPM that skips steps (`eta` 1), and by DDPM
itself, all 1000 steps. The fewest steps are those of the shortest sampler that is at most two
points of accuracy below DDPM. Standard errors of the differences are of pairs, since every
sampler meets the same labels.

By default N = 8 and 242 images a sampler; `--full` takes N = 16 too and a thousand images.
`--figure` writes PNG and CSV to docs/results.
"""

import argparse
import io
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from analysis.plotting.figure_io import COLOURS, MARKERS, styled
from factorlab import families, label_reader
from factorlab.config import RunSettings
from factorlab.data.dataset import Dataset, build
from factorlab.evaluation.evaluator import Evaluator, within_a_pixel
from factorlab.model.diffusion import Diffusion
from factorlab.storage.files import write_atomically
from factorlab.training.step import TrainingState
from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.benchmarks.time_to_accuracy import CPU, settings_of
from tests.helpers.training import train

RESULTS = Path(__file__).parents[2] / "docs" / "results"
STEPS = (3, 5, 8, 10, 15, 20, 25, 35, 50, 100)
SAMPLERS = {"DDIM": 0.0, "short DDPM": 1.0}
"""Name to `eta`; a short DDPM skips steps and draws fresh noise after each that it takes."""
DDPM = 1000
POINTS = 0.02
"""Accuracy that a short sampler may lose against DDPM."""

RECIPES = {"v": "ours", "noise": "papers"}
TRAINING = {("v", 8): 400, ("noise", 8): 1000, ("v", 16): 800, ("noise", 16): 3000}
"""Optimizer steps, by prediction and N: about twice what it takes to 90 %."""


def trained(settings: RunSettings, dataset: Dataset) -> tuple[torch.nn.Module, float]:
    """Return a trained model and the seconds it took."""
    begin = time.process_time()
    state = TrainingState(settings, CPU)
    for _ in train(state, settings, dataset, Diffusion(settings.diffusion), CPU):
        pass
    return state.evaluated.eval(), time.process_time() - begin


def drawn_right(
    model: torch.nn.Module, settings: RunSettings, dataset: Dataset, images: int
) -> tuple[list[bool], float]:
    """Return which images show their label, and the seconds that one round of labels took.

    All evaluation labels are drawn in rounds, with fresh noise each, until there are enough.
    """
    right: list[bool] = []
    begin, rounds = time.process_time(), 0
    while len(right) < images:
        run = settings.model_copy(update={"seed": settings.seed + rounds})
        evaluator = Evaluator(run, dataset, Diffusion(settings.diffusion), CPU)
        readings = label_reader.read(
            evaluator.generate(model), families.of(settings.data.family).READ
        )
        both = np.logical_and.reduce(within_a_pixel(readings, evaluator.labels, None), axis=1)
        right += both.tolist()
        rounds += 1
    return right, (time.process_time() - begin) / rounds


def measure(prediction: str, size: int, images: int) -> list[dict[str, Any]]:
    """Train a model and return, for every sampler, which images it drew right."""
    plan = settings_of(RECIPES[prediction], size, 0, TRAINING[prediction, size])
    evaluation = plan.evaluation.model_copy(update={"samples": min(images, 1024)})
    plan = plan.model_copy(update={"evaluation": evaluation})
    dataset = build(plan.data, 0)
    model, seconds = trained(plan, dataset)
    samplers = [(name, n, eta) for name, eta in SAMPLERS.items() for n in STEPS]
    rows = []
    for name, n, eta in [*samplers, ("DDPM", DDPM, 1.0)]:
        process = plan.diffusion.model_copy(update={"sampling_steps": n, "eta": eta})
        run = plan.model_copy(update={"diffusion": process})
        right, evaluate = drawn_right(model, run, dataset, images)
        row = {"prediction": prediction, "size": size, "sampler": name, "steps": n}
        times = {"train_seconds": seconds, "evaluate_seconds": evaluate}
        rows.append(row | times | {"right": right})
    return rows


def summary(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return accuracies in per cent, beside DDPM's of the same model, with standard errors."""
    ddpm = {
        (row["prediction"], row["size"]): np.array(row["right"], dtype=float)
        for row in rows
        if row["sampler"] == "DDPM"
    }
    lines = []
    for row in rows:
        right = np.array(row["right"], dtype=float)
        gain = right - ddpm[row["prediction"], row["size"]]
        count = len(right)
        lines.append(
            {
                "size": row["size"],
                "prediction": row["prediction"],
                "sampler": row["sampler"],
                "steps": row["steps"],
                "images": count,
                "accuracy": 100 * right.mean(),
                "accuracy_se": 100 * right.std() / np.sqrt(count),
                "minus_ddpm": 100 * gain.mean(),
                "minus_ddpm_se": 100 * gain.std() / np.sqrt(count),
                "train_seconds": row["train_seconds"],
                "evaluate_seconds": row["evaluate_seconds"],
            }
        )
    return pd.DataFrame(lines)


def fewest(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for every model and sampler, the line of the fewest steps that are enough."""
    enough = table[(table["minus_ddpm"] >= -100 * POINTS) & (table["sampler"] != "DDPM")]
    by = ["size", "prediction", "sampler"]
    return enough.sort_values("steps").groupby(by, as_index=False, sort=True).first()


def draw(table: pd.DataFrame) -> Figure:
    """Return accuracy against the number of steps, a panel for every N."""
    sizes = sorted(set(table["size"]))
    figure = Figure(figsize=(0.8 + 3.2 * len(sizes), 3.4), layout="constrained")
    row = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for size, axes in zip(sizes, row, strict=True):
        for i, prediction in enumerate(RECIPES):
            chosen = table[(table["size"] == size) & (table["prediction"] == prediction)]
            look: dict[str, Any] = {"color": COLOURS[i], "marker": MARKERS[i], "capsize": 2}
            for sampler, line in zip(SAMPLERS, ("-", ":"), strict=True):
                curve = chosen[chosen["sampler"] == sampler]
                label = f"predicts {prediction}, {sampler}"
                axes.errorbar(
                    curve["steps"], curve["accuracy"], curve["accuracy_se"],
                    ls=line, mfc=COLOURS[i] if line == "-" else "white", label=label, **look,
                )  # fmt: skip
            end = chosen[chosen["sampler"] == "DDPM"]
            axes.errorbar(end["steps"], end["accuracy"], end["accuracy_se"], ls="", **look)
            for value in end["accuracy"]:
                axes.axhline(value, color=COLOURS[i], lw=0.6, zorder=0)
        axes.set(
            xscale="log",
            xlabel="Sampling steps",
            ylim=(0, 104),
            xlim=(2.4, 1600),
            title=f"N = {size} pixels",
        )
        axes.set_xticks([3, 10, 30, 100, DDPM], ["3", "10", "30", "100", "1000\n(DDPM)"])
        axes.minorticks_off()
    row[0].set_ylabel("Accuracy: label drawn within a pixel (%)")
    row[-1].legend(loc="lower right")
    return figure


def save(table: pd.DataFrame) -> None:
    """Write the figure and its numbers to docs/results."""
    with styled():
        buffer = io.BytesIO()
        draw(table).savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    write_atomically(RESULTS / "sampling.png", buffer.getvalue())
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.4g")
    write_atomically(RESULTS / "sampling.csv", text.encode())


def measurements(table: pd.DataFrame) -> list[Measurement]:
    """Return the accuracies by sampler, and the fewest steps with their share of a trial."""
    case = "N = {size}, {prediction}, {sampler}".format_map
    found = []
    for line in table.to_dict("records"):
        name = case(line)
        column = "1000" if line["sampler"] == "DDPM" else f"{line['steps']}"
        found.append(Measurement(name, column, line["accuracy"], "%"))
    for line in fewest(table).to_dict("records"):
        name = case(line)
        share = line["evaluate_seconds"] / (line["evaluate_seconds"] + line["train_seconds"])
        found.append(Measurement(name, "fewest steps", line["steps"], "", "lower"))
        found.append(Measurement(name, "error of that", line["minus_ddpm_se"], "points"))
        found.append(Measurement(name, "its share of a trial", 100 * share, "%", "lower"))
    return found


def in_child(prediction: str, size: int, images: int) -> list[dict[str, Any]]:
    """Measure a model in a process of its own, on one thread."""
    print(f"predicts {prediction}, N = {size}", file=sys.stderr)
    command = [sys.executable, "-m", __spec__.name, "--child", prediction, str(size), str(images)]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="N = 16 too, and more images")
    parser.add_argument("--figure", action="store_true", help="write to docs/results")
    parser.add_argument("--images", type=int, help="least number a sampler; by default 242 or 968")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side, a core each")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        torch.set_num_threads(1)
        prediction, size, images = args.child
        print(json.dumps(measure(prediction, int(size), int(images))))
        return
    images = args.images or (968 if args.full else 242)
    models = [model for model in TRAINING if args.full or model[1] == 8]
    with ThreadPoolExecutor(args.jobs) as pool:
        runs = [pool.submit(in_child, *model, images) for model in models]
        table = summary([row for run in runs for row in run.result()])
    title = "Accuracy by sampler and number of steps"
    publish("sampling", title, measurements(table), args.history)
    if args.figure:
        save(table)


if __name__ == "__main__":
    main()
