"""Trials that follow a known law: tables of them, and single curves of accuracy."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

LAMBDAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

# Samples at the crossing of 60 %: 0.1 N^2 for bumps alone, 0.6 N beside stripes.
LAWS = {"bump": (0.1, 2.0), "bump+stripes": (0.6, 1.0)}


def accuracy_at(samples, threshold, steepness=2.0):
    """Return an accuracy that is logistic in log(samples) and 60 % at the threshold."""
    odds = np.log(0.6 / 0.4) + steepness * np.log(np.asarray(samples) / threshold)
    return 1 / (1 + np.exp(-odds))


def trials(
    *,
    sizes=(8, 12, 16),
    lambdas=LAMBDAS,
    seeds=(0, 1, 2),
    laws=LAWS,
    noise=0.2,
    spacing=0.5,
    draw=0,
):
    """Return a table of trials; noise is the standard deviation of log(threshold)."""
    rng = np.random.default_rng(draw)
    rows = []
    for family, (prefactor, exponent) in laws.items():
        for size in sizes:
            lattice = (int((size - 1) / spacing) + 1) ** 2
            for fraction in lambdas:
                samples = max(1, round(fraction * lattice))
                stripes = 16 * size if family.endswith("stripes") else 0
                if family.endswith("thinned-stripes"):
                    stripes = round(fraction * stripes)
                for seed in seeds:
                    threshold = prefactor * size**exponent * np.exp(noise * rng.normal())
                    rows.append(
                        {
                            "key": f"{family}-{size}-{fraction}-{seed}",
                            "data.family": family,
                            "data.size": size,
                            "data.sigma": 1.0,
                            "data.spacing": spacing,
                            "data.subsample": fraction,
                            "seed": seed,
                            "samples_2d": samples,
                            "samples_total": samples + stripes,
                            "accuracy": float(accuracy_at(samples, threshold)),
                            "ceiling": 1.0,
                            "state": "done",
                            "step": 1000,
                            "last": True,
                        }
                    )
    return pd.DataFrame(rows)


LEVEL = 0.6


@dataclass(frozen=True)
class SimulatedCurve:
    """Accuracy against log(samples); each run shifts its own curve."""

    crossing: float
    """Position where the mean over runs crosses `LEVEL`."""

    width: float = 0.5
    """Width of the transition, in the unit of positions."""

    noise: float = 0.4
    """Standard deviation of the shifts, in widths."""

    ceiling: float = 1.0
    labels: int = 400

    def _offset(self):
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        v = np.linspace(-4, 6, 2001)
        mean = self.ceiling * expit(v[:, None] - self.noise * nodes) @ weights / weights.sum()
        return np.interp(LEVEL, mean, v)

    def run(self, rng, positions):
        """Return the accuracies of one run at each position."""
        positions = np.asarray(positions, dtype=float)
        v = (positions - self.crossing) / self.width + self._offset()
        accuracy = self.ceiling * expit(v - self.noise * rng.normal(size=positions.shape))
        return rng.binomial(self.labels, accuracy) / self.labels


def sites(size):
    """Return the number of lattice labels at a spacing of 0.5."""
    return (2 * size - 1) ** 2


def scaling_curve(rng, size, power=2.0, scatter=0.2):
    """Return a curve as in the records of the scaling experiment (docs/results/scaling.md).

    Their crossings are near 0.1 N^2 samples, their transitions 0.5 wide in log(samples), and runs
    of different seeds scatter by 0.3 to 0.6 widths.

    Args:
        rng: Random numbers.
        size: Side N of the frame in pixels.
        power: Exponent of the crossings.
        scatter: Standard deviation of the crossings around the power law, in log(samples).
    """
    return SimulatedCurve(
        crossing=math.log(0.1 * 7**2) + power * math.log(size / 7) + scatter * rng.normal(),
        width=0.5 * math.exp(0.2 * rng.normal()),
        noise=0.42 * math.exp(0.25 * rng.normal()),
    )
