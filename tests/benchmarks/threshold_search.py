"""What a threshold search costs, against grids and other searches, on simulated curves.

Each repetition draws a curve as in the records of the scaling experiment and lets every design
choose its runs. All runs of a curve take the same number of training steps, so steps are counted in
runs. The same posterior judges all designs, so that the table compares where they put their runs;
the column `isotonic` has the interval of the same grids by a monotone fit and bootstrap, as they
are usually judged.

The second table lets the search stop by itself at N = 7, 10, 14 and 20, for laws of exponent 1 and
2, and fits the exponent (`analysis.scaling.power_law`).
"""

import argparse
import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context

import numpy as np
import optuna
import pandas as pd

from analysis.scaling.posterior import CrossingPosterior
from analysis.scaling.power_law import CrossingDensity, fit_power_law
from analysis.scaling.threshold_curves import Axis, Curve
from analysis.scaling.threshold_search import ThresholdSearch
from tests.benchmarks.bootstrap import replicates
from tests.benchmarks.report import Measurement, publish
from tests.helpers.synthetic_trials import LEVEL, SimulatedCurve, scaling_curve, sites

SIZES = (7, 10, 14, 20, 32)
LAW = (7, 10, 14, 20)
LAWS = ((1.0, 0.0), (2.0, 0.0), (1.0, 0.1), (2.0, 0.1))
"""Exponents, and scatters of the crossings about the power law, in log(samples)."""

POINTS, SEEDS = 10, 3
RUNS = POINTS * SEEDS
CHECKPOINTS = (5, 10, 15, 20, 30)
"""Numbers of runs at which widths are printed."""

WIDTH = math.log(1.3)
"""Width at which the search stops in the last table, as in the profile laptop."""

GUESS_ERROR = 0.5
"""Standard deviation of the guess that `guided` begins with, in log(samples). Percolation is off by
0.3 for bumps alone at N = 7 to 20."""

Run = Callable[[float], float]
"""Returns the accuracy of a new run at a position."""


def ends(size: int) -> tuple[float, float]:
    """Return the range of positions: from 2 samples to the whole lattice."""
    return math.log(2), math.log(sites(size))


def adaptive(
    size: int, run: Run, width: float = 0.0, guess: float | None = None
) -> Iterator[tuple[float, float]]:
    """Yield the runs of the threshold search, which may begin with a guess of the crossing."""
    positions = np.arange(*ends(size), 0.05)
    places = {value: place for place, value in enumerate(positions)}
    guesses = {} if guess is None else {LEVEL: guess}
    curve = Curve({}, tuple(places), places, tuple(positions), tuple(range(SEEDS)), 400, guesses)
    search = ThresholdSearch([curve], [LEVEL], width, Axis("data.subsample", log=True))
    while (place := search.suggest()) is not None:
        accuracy = run(float(positions[place[1]]))
        search.measured(*place, accuracy)
        yield float(positions[place[1]]), accuracy


def grid(low: float, high: float, run: Run) -> Iterator[tuple[float, float]]:
    """Yield the runs of a grid."""
    for position in np.repeat(np.linspace(low, high, POINTS), SEEDS):
        yield float(position), run(float(position))


def at_random(size: int, run: Run, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Yield runs at uniform positions."""
    while True:
        position = float(rng.uniform(*ends(size)))
        yield position, run(position)


def bisection(size: int, run: Run) -> Iterator[tuple[float, float]]:
    """Yield runs in the middle of an interval that shrinks by the mean of three seeds."""
    low, high = ends(size)
    while True:
        middle = (low + high) / 2
        found = [(middle, run(middle)) for _ in range(SEEDS)]
        yield from found
        above = np.mean([accuracy for _, accuracy in found]) >= LEVEL
        low, high = (low, middle) if above else (middle, high)


def tpe(size: int, run: Run, seed: int) -> Iterator[tuple[float, float]]:
    """Yield runs of Optuna's TPE, which looks for the accuracy closest to the level."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    while True:
        trial = study.ask()
        position = trial.suggest_float("position", *ends(size))
        accuracy = run(position)
        study.tell(trial, abs(accuracy - LEVEL))
        yield position, accuracy


def judged(size: int, runs: Iterator[tuple[float, float]], count: int = RUNS) -> list[np.ndarray]:
    """Return the interval after each of the first runs: low, middle and high."""
    posterior, found = CrossingPosterior(*ends(size)), []
    for (position, accuracy), _ in zip(runs, range(count), strict=False):
        posterior.observe(position, accuracy)
        interval = posterior.interval()
        found.append(np.array([interval.low, interval.middle, interval.high]))
    return found


def isotonic(runs: list[tuple[float, float]]) -> float:
    """Return the width of the 90 % interval by bootstrap."""
    positions, accuracies = np.array(runs).T
    found = replicates(np.exp(positions), accuracies, level=LEVEL, resamples=400)
    low, high = np.quantile(found, [0.05, 0.95], method="closest_observation")
    return float(np.log(high) - np.log(low)) if low > 0 else math.inf


def repetition(size: int, seed: int) -> dict[str, object]:
    """Let every design choose runs on one curve."""
    truth = scaling_curve(np.random.default_rng([seed, size]), size)

    def runner(stream: int) -> Run:
        rng = np.random.default_rng([seed, size, stream])
        return lambda position: float(truth.run(rng, position))

    rng = np.random.default_rng([seed, size, 7])
    guess = truth.crossing + GUESS_ERROR * float(rng.normal())
    reach = 3 * truth.width  # where accuracies are from 5 to 95 %
    low, high = ends(size)
    narrow = max(low, truth.crossing - reach), min(high, truth.crossing + reach)
    grids = {"grid": list(grid(low, high, runner(0))), "narrowed": list(grid(*narrow, runner(1)))}
    designs = {
        "search": adaptive(size, runner(2)),
        "guided": adaptive(size, runner(6), guess=guess),
        "bisection": bisection(size, runner(3)),
        "tpe": tpe(size, runner(4), seed),
        "random": at_random(size, runner(5), np.random.default_rng([seed, size])),
        **{name: iter(runs) for name, runs in grids.items()},
    }
    found = {name: np.array(judged(size, runs)) for name, runs in designs.items()}
    return {
        "truth": truth.crossing,
        **found,
        **{f"isotonic {name}": isotonic(runs) for name, runs in grids.items()},
    }


def law(power: float, scatter: float, seed: int) -> dict[str, float]:
    """Let the search stop by itself at each N, and fit the exponent."""
    densities, held, count = [], [], 0
    for size in LAW:
        truth = scaling_curve(np.random.default_rng([seed, size]), size, power, scatter)
        run = partial(_run, truth, np.random.default_rng([seed, size, 6]))
        posterior = CrossingPosterior(*ends(size))
        for position, accuracy in adaptive(size, run, WIDTH):
            posterior.observe(position, accuracy)
        interval = posterior.interval()
        held.append(interval.low <= truth.crossing <= interval.high)
        count += len(posterior.runs)
        points = np.arange(*ends(size), 0.01)
        densities.append(
            CrossingDensity(size=size, points=points, density=posterior.density(points))
        )
    fitted = fit_power_law(densities)
    (low, high), (low_95, high_95) = fitted.interval(0.9), fitted.interval(0.95)
    return {
        "runs": count,
        "held": float(np.mean(held)),
        "error": fitted.value - power,
        "exponent held": float(low <= power <= high),
        "width": high - low,
        "exponent held, 95 %": float(low_95 <= power <= high_95),
        "width, 95 %": high_95 - low_95,
        "told apart": float(fitted.odds(power, 3 - power) > 20),
    }


def _run(truth: SimulatedCurve, rng: np.random.Generator, position: float) -> float:
    return float(truth.run(rng, position))


def needed(widths: np.ndarray, goal: float) -> float:
    """Return the first number of runs at which the median width reaches a goal."""
    reached = np.flatnonzero(np.median(widths, axis=0) <= goal)
    return float(reached[0] + 1) if len(reached) else math.nan


def measurements(size: int, found: list[dict]) -> Iterator[Measurement]:
    """Yield the numbers of one N for the first table."""
    case = f"N = {size}"
    widths = {
        name: np.array([one[name][:, 2] - one[name][:, 0] for one in found])
        for name in ("search", "guided", "bisection", "tpe", "random", "grid", "narrowed")
    }
    for name in ("grid", "narrowed"):
        own = float(np.median(widths[name][:, -1]))
        usual = float(np.median([one[f"isotonic {name}"] for one in found]))
        yield Measurement(case, f"width, {name}", own)
        yield Measurement(case, f"isotonic, {name}", usual)
        yield Measurement(case, f"runs to {name}", needed(widths["search"], own), "", "lower")
        yield Measurement(case, f"runs to isotonic {name}", needed(widths["search"], usual))
        yield Measurement(case, f"guided to {name}", needed(widths["guided"], own), "", "lower")
    truths = np.array([one["truth"] for one in found])[:, None]
    search = np.array([one["search"] for one in found])
    held = (search[..., 0] <= truths) & (truths <= search[..., 2])
    for count in (10, 20):
        yield Measurement(case, f"held after {count}", float(held[:, count - 1].mean()))
    bias = float((search[:, 9, 1] - truths[:, 0]).mean() / np.median(widths["search"][:, 9]))
    yield Measurement(case, "bias after 10", bias, "widths")


def side_by_side(found: list[dict]) -> Iterator[Measurement]:
    """Yield the median widths of all designs, over all N."""
    for name in ("search", "guided", "bisection", "tpe", "random"):
        widths = np.array([one[name][:, 2] - one[name][:, 0] for one in found])
        for count in CHECKPOINTS:
            yield Measurement(name, f"{count} runs", float(np.median(widths[:, count - 1])))


def law_measurements(
    power: float, scatter: float, found: list[dict[str, float]]
) -> Iterator[Measurement]:
    """Yield the numbers of one exponent for the last table."""
    table, case = pd.DataFrame(found), f"exponent {power:g}, scatter {scatter:g}"
    yield Measurement(case, "runs", float(table["runs"].mean()))
    yield Measurement(case, "crossings held", float(table["held"].mean()))
    yield Measurement(case, "exponents held", float(table["exponent held"].mean()))
    yield Measurement(case, "width of its interval", float(table["width"].mean()))
    yield Measurement(case, "held, 95 %", float(table["exponent held, 95 %"].mean()))
    yield Measurement(case, "width, 95 %", float(table["width, 95 %"].mean()))
    yield Measurement(case, "odds above 20", float(table["told apart"].mean()))
    yield Measurement(case, "bias", float((table["error"] / table["width"]).mean()), "widths")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200, help="curves for each N and law")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seeds = range(options.repetitions)
    with get_context("spawn").Pool(options.processes, _quiet) as pool:
        found = {size: pool.map(partial(repetition, size), seeds) for size in SIZES}
        laws = {one: pool.map(partial(law, *one), seeds) for one in LAWS}
    title = f"90 % intervals in log(samples), medians of {options.repetitions} curves"
    publish(
        "threshold_search", title, [m for n, one in found.items() for m in measurements(n, one)]
    )
    every = [one for part in found.values() for one in part]
    publish("threshold_designs", f"{title}, all N", list(side_by_side(every)))
    title = f"stopped at {math.exp(WIDTH):g}, N = {', '.join(map(str, LAW))}"
    publish(
        "threshold_law",
        title,
        [m for which, one in laws.items() for m in law_measurements(*which, one)],
    )


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


if __name__ == "__main__":
    main()
