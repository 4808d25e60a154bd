"""Posterior of the position at which accuracy crosses a level, from single runs.

The model of the curve is that of `analysis.scaling.response`. Its unknowns are the crossing, the
width of the transition, the noise from run to run, the ceiling and the floor. They have a prior on
a grid: the crossing is uniform over the range and 15 % beyond each end, or as given; the width is
uniform in its logarithm. The posterior is computed on that grid, without sampling, so the same runs
in the same order give the same numbers.

The model is our definition; `make bench-threshold_search` measures how often its intervals hold the
truth.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.scaling.response import BINS, OUTLIERS, REACH, STEP, bin_of, responses

Floats = NDArray[np.float64]

_POINTS = 120  # crossings on the grid
_WIDTHS = 12  # widths of the transition on the grid
_MARGIN = 0.15  # the crossing may lie this share of the range beyond its ends
_WIDTH_RANGE = (1 / 60, 1 / 2.5)  # of the range, from the narrowest to the widest transition
_DRAWS = 300  # points of the posterior that stand for it when a run is weighed
_RESOLUTION = 40  # crossings that the 90 % interval has to contain, or the grid is refined
_STRAY = OUTLIERS / BINS  # likelihood of an outlier, the same for every accuracy
_TINY = 1e-30  # of a prior that is far outside the range
_TRUST = 0.8  # prior probability that a given prior is right; the rest is uniform


@dataclass(frozen=True)
class Interval:
    """A central interval of the crossing."""

    low: float

    middle: float
    """The median."""

    high: float

    @property
    def width(self) -> float:
        """Length of the interval."""
        return self.high - self.low


class CrossingPosterior:
    """What is known about one crossing.

    Positions are in the unit in which the curve is logistic, such as log(samples).

    Args:
        low: Lower end of the range of positions.
        high: Upper end.
        level: Accuracy at the crossing, strictly between 0 and 1.
        labels: Number of labels on which an accuracy is measured.
        falling: Whether accuracy falls with the position.
        widths: Narrowest and widest transition that are considered, in the unit of positions; by
            default 1/60 and 1/2.5 of the range.
        prior: Mean and standard deviation of the crossing as predicted, None for a uniform prior.

    Raises:
        ValueError: The range is empty, or the level is too close to 0 or 1.
    """

    def __init__(
        self,
        low: float,
        high: float,
        *,
        level: float = 0.6,
        labels: int = 400,
        falling: bool = False,
        widths: tuple[float, float] | None = None,
        prior: tuple[float, float] | None = None,
    ) -> None:
        if not low < high:
            raise ValueError(f"the range is {low} to {high}, but its low end must be below.")
        self._sign = -1.0 if falling else 1.0
        self._low, self._high = sorted((self._sign * low, self._sign * high))
        self._prior = None if prior is None else (self._sign * prior[0], prior[1])
        self._table = responses(level, labels)
        span = self._high - self._low
        narrowest, widest = widths or (_WIDTH_RANGE[0] * span, _WIDTH_RANGE[1] * span)
        self._widths = np.geomspace(narrowest, widest, _WIDTHS)
        self._ends = (self._low - _MARGIN * span, self._high + _MARGIN * span)
        self.runs: list[tuple[float, float]] = []
        """Position and accuracy of each run."""
        self._fit(np.linspace(*self._ends, _POINTS))

    @property
    def support(self) -> tuple[float, float]:
        """The smallest and the largest crossing that is considered."""
        low, high = sorted(self._sign * end for end in self._ends)
        return low, high

    def observe(self, position: float, accuracy: float) -> None:
        """Learn the accuracy of a run.

        Raises:
            ValueError: The accuracy is outside [0, 1], or the position is not finite.
        """
        if not (0 <= accuracy <= 1 and math.isfinite(position)):
            raise ValueError(f"position is {position} and accuracy {accuracy}.")
        self.runs.append((position, accuracy))
        self._weigh(position, accuracy)
        self._refine()

    def imagined(self, positions: list[float]) -> "CrossingPosterior":
        """Return a copy that has seen the expected accuracy at some positions, of pending runs."""
        other = copy.copy(self)
        other.runs, other._log = [*self.runs], self._log.copy()
        for position in positions:
            other.observe(position, other.expected(position))
        return other

    def interval(self, mass: float = 0.9) -> Interval:
        """Return the central interval with some probability."""
        tail = (1 - mass) / 2
        low, middle, high = sorted(self._sign * self._quantiles([tail, 0.5, 1 - tail]))
        return Interval(float(low), float(middle), float(high))

    def outside(self) -> tuple[float, float]:
        """Return the probability that the crossing lies below and above the range."""
        marginal = self._marginal()
        below = float(marginal[self._crossings < self._low].sum())
        above = float(marginal[self._crossings > self._high].sum())
        return (below, above) if self._sign > 0 else (above, below)

    def probability_below(self, position: float) -> float:
        """Return the probability that the crossing lies below a position."""
        cumulated = self._cumulated()
        share = float(np.interp(self._sign * position, self._crossings, cumulated))
        return share if self._sign > 0 else 1 - share

    def masses(self, cells: int) -> Floats:
        """Return the probability of the crossing in equal cells of the range, shape (cells,)."""
        edges = np.linspace(self._low, self._high, cells + 1)
        below = np.interp(edges, self._crossings, self._cumulated())
        return np.asarray(np.diff(below)[:: int(self._sign)])

    def density(self, positions: NDArray[np.floating]) -> Floats:
        """Return the posterior density at some positions, shape (positions,); 0 off the grid."""
        density = self._marginal() / np.gradient(self._crossings)
        found = np.interp(self._sign * positions, self._crossings, density, left=0.0, right=0.0)
        return np.asarray(found)

    def outliers(self) -> int:
        """Return how many runs the curve probably does not describe; see `OUTLIERS`."""
        probability = self._probability()
        return sum(
            float((probability * (_STRAY / self._likelihood(*run))).sum()) > 0.5
            for run in self.runs
        )

    def expected(self, position: float) -> float:
        """Return the mean accuracy of a run at a position."""
        distance = (self._sign * position - self._crossings[:, None]) / self._widths
        index = np.rint((np.clip(distance, -REACH, REACH) + REACH) / STEP).astype(np.intp)
        return float((self._probability() * self._table.mean[index]).sum())

    def simulated(self, rng: np.random.Generator) -> Callable[[float], float]:
        """Draw a curve from the posterior; return a function that simulates runs on it.

        The function takes a position and returns the accuracy of a run. Another call is another
        run.
        """
        cumulated = np.cumsum(self._probability().ravel())
        drawn = int(np.searchsorted(cumulated, rng.random() * cumulated[-1]))
        crossing, width, shape = np.unravel_index(min(drawn, self._log.size - 1), self._log.shape)

        def run(position: float) -> float:
            distance = (self._sign * position - self._crossings[crossing]) / self._widths[width]
            index = round((min(max(distance, -REACH), REACH) + REACH) / STEP)
            likely = np.cumsum(self._table.fine[index, shape])
            place = int(np.searchsorted(likely, rng.random() * likely[-1]))
            return min(place, len(likely) - 1) / (len(likely) - 1)

        return run

    def variance_after(self, positions: NDArray[np.floating]) -> Floats:
        """Return the variance of the crossing that is expected after one more run.

        Args:
            positions: Positions of the run, shape (positions,).

        Returns:
            One variance per position, shape (positions,).
        """
        probability = self._probability().ravel()
        places = (np.arange(_DRAWS) + 0.5) / _DRAWS
        drawn = np.searchsorted(np.cumsum(probability), places * (1 - 1e-9))
        crossing, width, shape = np.unravel_index(drawn, self._log.shape)
        at = self._crossings[crossing]
        distance = (self._sign * positions[:, None] - at) / self._widths[width]
        index = np.rint((np.clip(distance, -REACH, REACH) + REACH) / STEP).astype(np.intp)
        likely = self._table.coarse[index, shape]  # (positions, draws, accuracies)
        total = likely.sum(axis=1)
        mean = np.einsum("pda,d->pa", likely, at) / total
        square = np.einsum("pda,d->pa", likely, at**2) / total
        return np.asarray(((square - mean**2) * total).sum(axis=1) / _DRAWS, dtype=np.float64)

    def _fit(self, crossings: Floats) -> None:
        """Compute the posterior of all runs on a grid of crossings."""
        self._crossings = crossings
        weight = np.gradient(crossings)  # each stands for the crossings around it
        if self._prior is not None:
            mean, deviation = self._prior
            bell = np.exp(-0.5 * ((crossings - mean) / deviation) ** 2) + _TINY
            uniform = 1 / (self._ends[1] - self._ends[0])
            weight *= (1 - _TRUST) * uniform + _TRUST * bell / (bell @ weight)
        start = np.log(weight)[:, None, None] + np.log(self._table.weights)
        shape = (_POINTS, _WIDTHS, len(self._table.weights))
        self._log = np.broadcast_to(start, shape).astype(np.float32)
        for position, accuracy in self.runs:
            self._weigh(position, accuracy)

    def _weigh(self, position: float, accuracy: float) -> None:
        """Multiply the posterior by the likelihood of a run."""
        self._log += np.log(self._likelihood(position, accuracy))

    def _likelihood(self, position: float, accuracy: float) -> NDArray[np.float32]:
        """Return the likelihood of a run, shape (crossings, widths, shapes)."""
        distance = (self._sign * position - self._crossings[:, None]) / self._widths
        place = (np.clip(distance, -REACH, REACH) + REACH) / STEP
        index = np.minimum(place.astype(np.intp), round(2 * REACH / STEP) - 1)
        share = (place - index)[..., None].astype(np.float32)
        column = self._table.fine[:, :, bin_of(accuracy)]  # (distances, shapes)
        return np.asarray((1 - share) * column[index] + share * column[index + 1])

    def _refine(self) -> None:
        """Place half of the crossings by the posterior, if too few are where it is."""
        for _ in range(3):
            low, high = self._quantiles([0.05, 0.95])
            if ((self._crossings > low) & (self._crossings < high)).sum() >= _RESOLUTION:
                return
            cumulated = np.cumsum(self._marginal())
            even = (self._crossings - self._ends[0]) / (self._ends[1] - self._ends[0])
            mixed = (even + np.concatenate([[0], (cumulated[:-1] + cumulated[1:]) / 2])) / 2
            self._fit(np.interp(np.linspace(0, mixed[-1], _POINTS), mixed, self._crossings))

    def _probability(self) -> Floats:
        """Return the posterior, shape (crossings, widths, shapes)."""
        weight = np.exp(self._log - self._log.max())
        return np.asarray(weight / weight.sum(), dtype=np.float64)

    def _marginal(self) -> Floats:
        """Return the posterior of the crossing, shape (crossings,)."""
        return np.asarray(self._probability().sum(axis=(1, 2)))

    def _cumulated(self) -> Floats:
        """Return the probability below each crossing of the grid, shape (crossings,)."""
        cumulated = np.cumsum(self._marginal())
        return cumulated - np.diff(cumulated, prepend=0) / 2

    def _quantiles(self, probabilities: list[float]) -> Floats:
        return np.asarray(np.interp(probabilities, self._cumulated(), self._crossings))
