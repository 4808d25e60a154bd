"""Seconds of one core until a model draws where it is told to: the papers' recipe and ours.

The goal is 90 % of the reader's ceiling on bumps of sigma 1 (lattice step 0.5, all of it seen,
labels at least a pixel from the rim). The seconds are those of the processor, from the fresh
network to the end of the evaluation that shows the goal reached, sampling and reading included.

All recipes train the same network (the papers' is eight times as wide):

- published: predicts the noise, batches of 64, constant rate of 1e-4, 1000 steps of DDPM to
  evaluate. It is looked at along its run; a look that does not show the goal costs it nothing.
- papers: the same with the best learning rate that was found, so that what differs from ours is
  the rest of the recipe.
- ours: predicts v, batches of 32, one cycle of a high rate, the same sampler with 5 steps. One
  cycle has to know its length, so a length that reaches the goal stands here: at N = 8 with
  three seeds, at N = 16 with two, at N = 32 extrapolated from 77 % after 1000 steps.

What runs out of the seconds given has not reached the goal, and its row has a lower bound: at N =
16 it is one unless told otherwise, and `--sizes 16 --budget 480` takes eleven minutes.
`--full` gives `papers` what it needs, takes all sizes, and trains both recipes long, to show where
they end: hours.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from factorlab.config import RunSettings
from factorlab.data.dataset import build
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model.diffusion import Diffusion
from factorlab.parsing import parse
from factorlab.training.step import TrainingState
from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.helpers.training import train

CPU = torch.device("cpu")
GOAL = 0.9  # share of the reader's ceiling
LABELS = 128  # to evaluate, of 729 at N = 16; a thousand steps of DDPM for each are dear
GROWTH = 1.2  # between looks at the papers' recipe, in steps
CHEAP = {"sampling_steps": 200}  # the same stochastic sampler with a fifth of the steps

DDPM: dict[str, Any] = {"prediction": "noise", "sampling_steps": 1000, "eta": 1.0}
CONSTANT: dict[str, Any] = {"batch_size": 64, "schedule": "constant"}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "published": {"diffusion": DDPM, "training": CONSTANT | {"learning_rate": 1e-4}},
    "papers": {"diffusion": DDPM, "training": CONSTANT | {"learning_rate": 3e-3}},
    "ours": {
        "diffusion": {"prediction": "v", "sampling_steps": 5, "eta": 1.0},
        "training": {"batch_size": 32, "schedule": "one_cycle", "learning_rate": 1e-2},
    },
}
OUR_STEPS = {8: 220, 16: 450, 32: 1300}
LONG_STEPS = {"papers": {8: 3000, 16: 6000, 32: 12000}, "ours": {8: 1000, 16: 2000, 32: 4000}}
FIRST_LOOK = {8: 500, 16: 1400, 32: 3000}  # the papers' recipe is far from the goal before
BUDGET = {
    ("published", 8): 170.0,
    ("papers", 8): 150.0,
    ("published", 16): 80.0,
    ("papers", 16): 80.0,
}
"""Seconds of training that the papers' recipes are given, by N: all takes about 6 minutes."""


@dataclass(frozen=True)
class Run:
    """What one recipe did on images of one size."""

    recipe: str
    size: int
    steps: int
    """Optimizer steps until the end, or until the goal."""

    train: float
    """Seconds of training."""

    evaluate: float
    """Seconds of the last evaluation."""

    accuracy: float
    """At the last evaluation."""

    ceiling: float
    """Accuracy of the reader on clean images of the same labels."""

    @property
    def reached(self) -> bool:
        """Whether it reached the goal."""
        return self.accuracy >= GOAL * self.ceiling

    @property
    def seconds(self) -> float:
        """Until the goal was shown, or until the run was given up."""
        return self.train + self.evaluate


def settings_of(recipe: str, size: int, seed: int, steps: int) -> RunSettings:
    """Return a run of a recipe."""
    groups = RECIPES[recipe]
    return parse(
        {
            "seed": seed,
            "data": {"size": size},
            "model": {"width": 8},
            "diffusion": groups["diffusion"],
            "training": groups["training"] | {"steps": steps},
            "evaluation": {"samples": LABELS},
        }
    )


def looks(first: int, last: int) -> Iterator[int]:
    """Yield the steps at which a run is looked at: ever wider apart, the last one among them."""
    step = first
    while step < last:
        yield step
        step = round(step * GROWTH)
    yield last


class Course:
    """A model in training, with the seconds that it took so far."""

    def __init__(self, recipe: str, size: int, seed: int, steps: int) -> None:
        begin = time.process_time()
        self.recipe = recipe
        self.settings = settings_of(recipe, size, seed, steps)
        self.dataset = build(self.settings.data, seed)
        self.state = TrainingState(self.settings, CPU)
        diffusion = Diffusion(self.settings.diffusion)
        self._losses = train(self.state, self.settings, self.dataset, diffusion, CPU)
        self.seconds = time.process_time() - begin

    def advance(self, step: int, seconds: float) -> None:
        """Train until a step, or until so many seconds of training are over."""
        begin, before = time.process_time(), self.seconds
        while self.state.step < step and self.seconds < seconds:
            next(self._losses)
            self.seconds = before + time.process_time() - begin

    def look(self, **diffusion: float) -> Run:
        """Evaluate, by the recipe's sampler or by another one."""
        begin = time.process_time()
        process = self.settings.diffusion.model_copy(update=diffusion)
        run = self.settings.model_copy(update={"diffusion": process})
        evaluator = Evaluator(run, self.dataset, Diffusion(process), CPU)
        metrics = evaluator.evaluate(self.state.evaluated).metrics
        return Run(
            recipe=self.recipe,
            size=self.settings.data.size,
            steps=self.state.step,
            train=self.seconds,
            evaluate=time.process_time() - begin,
            accuracy=metrics["accuracy"],
            ceiling=metrics["ceiling"],
        )


def until_goal(course: Course, first_look: int, seconds: float) -> Run:
    """Train until the goal or until the seconds are over.

    A cheap look, whose seconds do not count, decides whether a dear one is worth it; the dear
    one decides, and its seconds count where it shows the goal.
    """
    steps = course.settings.training.steps
    for step in looks(first_look, steps):
        course.advance(step, seconds)
        run = course.look(**CHEAP)
        over = course.seconds >= seconds or step == steps
        if (run.reached and (run := course.look()).reached) or over:
            return run
    raise AssertionError  # the last look ends the run


def measure(recipe: str, size: int, seed: int, seconds: float) -> Run:
    """Run a recipe towards the goal, or, where no seconds are given, as long as it gains."""
    warm_up = Course(recipe, size, seed, steps=4)  # what a worker loads once for all its trials
    warm_up.advance(1, float("inf"))
    warm_up.look(sampling_steps=1)
    if seconds == 0 or recipe == "ours":
        steps = (OUR_STEPS if seconds > 0 else LONG_STEPS[recipe])[size]
        course = Course(recipe, size, seed, steps)
        course.advance(steps, float("inf"))
        return course.look()
    return until_goal(Course(recipe, size, seed, 10**6), FIRST_LOOK[size], seconds)


def in_child(recipe: str, size: int, seed: int, seconds: float) -> Run:
    """Run a recipe in a process of its own, on one thread."""
    print(f"{recipe}, N = {size}, seed {seed}", file=sys.stderr)
    what = [recipe, str(size), str(seed), str(seconds)]
    command = [sys.executable, "-m", __spec__.name, "--child", *what]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return Run(**json.loads(result.stdout))


def child(what: list[str]) -> None:
    """Print what a parent asked for."""
    torch.set_num_threads(1)
    recipe, size, seed, seconds = what
    print(json.dumps(asdict(measure(recipe, int(size), int(seed), float(seconds)))))


def measurements(papers: Run, ours: Run) -> list[Measurement]:
    """Return a row: what is a bound and not a number has a column of its own."""
    case = f"N = {ours.size}, {papers.recipe}"
    bound = "" if papers.reached else " more than"
    return [
        Measurement(case, "ours", ours.seconds, "s", "lower"),
        Measurement(case, "accuracy, ours", 100 * ours.accuracy, "%", "higher"),
        Measurement(case, f"this{bound}", papers.seconds, "s"),
        Measurement(case, "accuracy, this", 100 * papers.accuracy, "%"),
        Measurement(
            case,
            f"factor{bound}",
            papers.seconds / ours.seconds,
            better="higher" if papers.reached else "neither",  # a bound is as far as it was run
        ),
        Measurement(case, "factor of training alone" + bound, papers.train / ours.train),
        Measurement(case, "steps, ours", ours.steps),
        Measurement(case, "steps, this", papers.steps),
    ]


def remarks(papers: Run, ours: Run) -> list[str]:
    """Return what a reader of the row must know."""
    found = []
    if not ours.reached:
        found.append(
            f"N = {ours.size}: ours missed the goal, {GOAL * ours.ceiling:.1%}, in this run"
        )
    if not papers.reached:
        found.append(
            f"N = {papers.size}, {papers.recipe}: had {papers.accuracy:.1%} when its "
            f"{papers.train:.0f} s of training were over: its time and the factor are lower bounds"
        )
    return found


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="no budgets; long runs after")
    parser.add_argument("--sizes", type=int, nargs="+", choices=OUR_STEPS, help="only these")
    parser.add_argument("--budget", type=float, help="seconds for both of the papers' recipes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side, a core each")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure and publish."""
    args = arguments()
    if args.child:
        child(args.child)
        return
    sizes = args.sizes or list(OUR_STEPS if args.full else {n for _, n in BUDGET})
    budgets = {key: seconds for key, seconds in BUDGET.items() if key[1] in sizes}
    if args.budget:
        budgets = {(r, n): args.budget for r in ("published", "papers") for n in sizes}
    if args.full:
        budgets |= {("papers", n): float("inf") for n in sizes}
    with ThreadPoolExecutor(args.jobs) as pool:

        def start(recipe: str, size: int, seconds: float) -> Future[Run]:
            return pool.submit(in_child, recipe, size, args.seed, seconds)

        others = [start(*key, seconds) for key, seconds in budgets.items()]
        ours = {n: start("ours", n, float("inf")) for n in sizes}
        ends = {(n, r): start(r, n, 0) for n in sizes for r in LONG_STEPS if args.full}
        runs = sorted((run.result() for run in others), key=lambda run: run.size)
        pairs = [(run, ours[run.size].result()) for run in runs]
        final = {key: end.result() for key, end in ends.items()}
    title = f"Seconds of one core to {GOAL:.0%} of the reader's ceiling, training and evaluation"
    rows = [measurement for pair in pairs for measurement in measurements(*pair)]
    publish("time-to-accuracy", title, rows, args.history)
    for remark in dict.fromkeys(r for pair in pairs for r in remarks(*pair)):
        print(remark)
    if final:
        rows = [
            Measurement(f"N = {n}, {recipe}", name, value, unit)
            for (n, recipe), run in final.items()
            for name, value, unit in (
                ("accuracy", 100 * run.accuracy, "%"),
                ("reader's ceiling", 100 * run.ceiling, "%"),
                ("steps", run.steps, ""),
                ("training", run.train, "s"),
            )
        ]
        publish("final-accuracy", "Where both recipes end, trained long", rows, args.history)


if __name__ == "__main__":
    main()
