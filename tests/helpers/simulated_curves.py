"""Logistic curves of accuracy with a known crossing, and runs on them."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

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
