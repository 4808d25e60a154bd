"""The threshold search: which run narrows the crossings of a sweep most.

Every curve has a posterior of its crossing for each level (`analysis.scaling.posterior`). The next
run belongs to the curve whose interval exceeds its goal most. Its position is the one after which
the smallest variance of the crossing is expected. Runs that have not ended count as if they had
measured what is expected of them, so that several workers do not all try the same point.

Only what has been measured and what is pending decides, not the order in which results came. A
search that was killed therefore goes on as it would have.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.scaling.posterior import CrossingPosterior, Interval
from analysis.scaling.threshold_curves import SEED, Axis, Curve
from analysis.scaling.thresholds import monotone_crossing

FEWEST = 4
"""Runs on a curve before it may count as finished."""

DEVIATION = math.log(2)
"""Standard deviation of a first guess, in log(samples): a factor of 2 (our choice)."""

MANY_OUTLIERS = 0.1
"""Share of outliers above which a finding says so, if there are two."""

CELLS = 24
"""Parts of the range for which a finding has the probability that the crossing lies there."""

SURE = 0.95
"""Probability that a crossing lies outside the range at which the search says so."""


@dataclass
class _Runs:
    """Runs of one curve, by index of the value and seed."""

    measured: dict[tuple[int, int], float] = field(default_factory=dict)
    pending: set[tuple[int, int]] = field(default_factory=set)
    lost: set[tuple[int, int]] = field(default_factory=set)
    """Runs that failed, or whose result cannot be used."""

    @property
    def used(self) -> set[tuple[int, int]]:
        """All runs that need not be suggested."""
        return self.measured.keys() | self.pending | self.lost


@dataclass(frozen=True)
class Finding:
    """What is known about one crossing."""

    curve: str
    level: float
    interval: Interval
    """90 % interval, in units of positions."""

    axis: Axis

    runs: int
    """Number of runs that have been measured."""

    over: str | None
    """Why the curve needs no further run at this level, or None."""

    check: str | None
    """What a monotone fit finds, if it contradicts the posterior: accuracy is then not logistic, or
    not monotone. None otherwise."""

    outliers: int
    """Number of runs that the fitted curve probably does not describe."""

    masses: tuple[float, ...]
    """Probability of the crossing in each of `CELLS` equal parts of the range of positions."""

    guess: float | None = None
    """Position at which the prior expected the crossing; None without one."""

    def __str__(self) -> str:
        """Return a sentence such as `size=8: 60 % at 6.1 samples (4.9 to 7.4) after 7 runs`."""
        low, middle, high = (
            self.axis.text(at)
            for at in (self.interval.low, self.interval.middle, self.interval.high)
        )
        end = f", {self.over}" if self.over else ""
        if self.guess is not None:
            end += f"; the prior expected {self.axis.text(self.guess)}"
        if self.check is not None:
            end += f"; a monotone fit {self.check}: look at the runs"
        if self.outliers > max(1, MANY_OUTLIERS * self.runs):
            end += f"; {self.outliers} runs are far from the fitted curve: look at them"
        return (
            f"{self.curve}: {100 * self.level:g} % at {middle} {self.axis.unit} "
            f"({low} to {high}) after {self.runs} {'run' if self.runs == 1 else 'runs'}{end}"
        )


class ThresholdSearch:
    """Suggests runs until every crossing is known as exactly as asked.

    Args:
        curves: Curves to search.
        levels: Levels to be crossed on each.
        width: Width of the 90 % interval to reach, in units of positions.
        axis: Axis along which the curves run.
        falling: Whether curves fall.
    """

    def __init__(
        self,
        curves: Sequence[Curve],
        levels: Sequence[float],
        width: float,
        axis: Axis,
        *,
        falling: bool = False,
    ) -> None:
        self.curves, self.levels, self.axis = list(curves), list(levels), axis
        self._width, self._falling = width, falling
        self._runs = [_Runs() for _ in curves]
        self._cache: dict[tuple[int, float], tuple[int, CrossingPosterior]] = {}

    def measured(self, curve: int, place: int, seed: int, accuracy: float) -> None:
        """Learn the result of a run.

        Raises:
            ValueError: The accuracy is outside [0, 1].
        """
        if not 0 <= accuracy <= 1:
            raise ValueError(f"a threshold search needs a metric from 0 to 1, not {accuracy:g}")
        runs = self._runs[curve]
        runs.pending.discard((place, seed))
        runs.measured[place, seed] = accuracy

    def started(self, curve: int, place: int, seed: int) -> None:
        """Learn that a run is pending."""
        if (place, seed) not in self._runs[curve].measured:
            self._runs[curve].pending.add((place, seed))

    def lost(self, curve: int, place: int, seed: int) -> None:
        """Learn that a run has failed."""
        self._runs[curve].pending.discard((place, seed))
        self._runs[curve].lost.add((place, seed))

    @property
    def pending(self) -> bool:
        """Whether runs are pending."""
        return any(runs.pending for runs in self._runs)

    def suggest(self, among: Collection[int] | None = None) -> tuple[int, int, int] | None:
        """Return the next run as indices of the curve and the value, and the seed.

        Returns None if no curve needs further runs, given what has been measured. If `pending`,
        that may change. The run counts as pending from then on.

        Args:
            among: Indices of the curves to choose from, for a run beside others. It is suggested
                only if it is still needed when all pending runs measure what is expected. By
                default, choose from all curves, and suggest a run even then: a worker is free.
        """
        open_ones = [
            (curve, level)
            for curve in (range(len(self.curves)) if among is None else among)
            for level in self.levels
            if self._over(curve, level) is None
        ]
        imagined = {one: self._imagined(*one) for one in open_ones}
        if among is not None:
            open_ones = [one for one in open_ones if imagined[one].interval().width > self._width]
        if not open_ones:
            return None
        curve, level = max(open_ones, key=lambda one: imagined[one].interval().width)
        place, seed = self._narrowing(curve, imagined[curve, level])
        self.started(curve, place, seed)
        return curve, place, seed

    def over(self) -> str | None:
        """Return why no curve needs further runs, or None if one does or runs are pending."""
        if self.pending:
            return None
        reasons = Counter(
            self._over(curve, level) for curve in range(len(self.curves)) for level in self.levels
        )
        if None in reasons:
            return None
        return ", ".join(f"{reason} ({times})" for reason, times in reasons.items())

    def place_of(self, point: Mapping[str, Any]) -> tuple[int, int, int] | None:
        """Return the curve, the value and the seed of a point; None if it is on no curve."""
        for index, curve in enumerate(self.curves):
            on = all(point[key] == value for key, value in curve.others.items())
            place = curve.places.get(point[self.axis.key])
            if on and place is not None:
                return index, place, point[SEED]
        return None

    def expected_runs(self, most: int, repetitions: int = 10) -> tuple[int, int, int]:
        """Simulate the rest of the search, with each curve drawn from its posterior.

        Args:
            most: Maximum number of further runs.
            repetitions: Number of simulations; each takes some tenths of a second.

        Returns:
            Number of further runs: one in ten simulations is below the first, and one in ten above
            the last; the second is the median.
        """
        counts = [self._rest(np.random.default_rng(seed), most) for seed in range(repetitions)]
        low, middle, high = np.quantile(counts, [0.1, 0.5, 0.9], method="closest_observation")
        return int(low), int(middle), int(high)

    def _rest(self, rng: np.random.Generator, most: int) -> int:
        """Simulate the rest of the search once; return its number of runs."""
        count = 0
        for index, (curve, runs) in enumerate(zip(self.curves, self._runs, strict=True)):
            rest = ThresholdSearch(
                [curve], self.levels, self._width, self.axis, falling=self._falling
            )
            rest._runs = [copy.deepcopy(runs)]
            simulated = self.posterior(index, self.levels[0]).simulated(rng)
            for place, seed in sorted(runs.pending):
                rest.measured(0, place, seed, simulated(curve.positions[place]))
            while count < most and (found := rest.suggest()) is not None:
                count += 1
                rest.measured(*found, simulated(curve.positions[found[1]]))
        return count

    def findings(self) -> list[Finding]:
        """Return what is known about every crossing."""
        return [
            Finding(
                self.curves[curve].name,
                level,
                self.posterior(curve, level).interval(),
                self.axis,
                len(self._runs[curve].measured),
                self._over(curve, level),
                self._monotone(curve, level),
                self.posterior(curve, level).outliers(),
                tuple(self.posterior(curve, level).masses(CELLS).tolist()),
                self.curves[curve].guesses.get(level),
            )
            for curve in range(len(self.curves))
            for level in self.levels
        ]

    def _monotone(self, curve: int, level: float) -> str | None:
        """Return what a monotone fit finds, as a phrase, if it contradicts the posterior."""
        runs, positions = self._runs[curve].measured, self.curves[curve].positions
        if len(runs) < FEWEST:
            return None
        # `monotone_crossing` takes counts and works in their logarithms, from 0 to 1 here.
        scale = (positions[-1] - positions[0]) * (-1 if self._falling else 1)
        start = positions[-1] if self._falling else positions[0]
        counts = [math.exp((positions[place] - start) / scale) for place, _ in runs]
        found = monotone_crossing(counts, list(runs.values()), level=level)
        if found is None:
            crossed = self._over(curve, level) == "found"
            return f"does not cross {100 * level:g} %" if crossed else None
        fitted = start + scale * math.log(found)
        interval = self.posterior(curve, level).interval(0.999)
        if interval.low <= fitted <= interval.high:
            return None
        return f"crosses at {self.axis.text(fitted)}"

    def posterior(self, curve: int, level: float) -> CrossingPosterior:
        """Return the posterior of a crossing, given all runs that were measured."""
        runs = self._runs[curve].measured
        known = self._cache.get((curve, level))
        if known is None or known[0] != len(runs):
            line = self.curves[curve]
            guess = line.guesses.get(level)
            posterior = CrossingPosterior(
                line.positions[0],
                line.positions[-1],
                level=level,
                labels=line.labels,
                falling=self._falling,
                widths=self.axis.widths,
                prior=None if guess is None else (guess, DEVIATION),
            )
            for (place, _), accuracy in sorted(runs.items()):
                posterior.observe(line.positions[place], accuracy)
            known = self._cache[curve, level] = len(runs), posterior
        return known[1]

    def _over(self, curve: int, level: float) -> str | None:
        """Return why a curve needs no further run at a level, or None."""
        runs = self._runs[curve]
        if len(runs.measured) >= FEWEST:
            posterior = self.posterior(curve, level)
            below, above = posterior.outside()
            for side, share in (("below", below), ("above", above)):
                if share > SURE:
                    return f"the crossing is {side} the range"
            if posterior.interval().width <= self._width:
                return "found"
        line = self.curves[curve]
        if len(runs.used) == len(line.values) * len(line.seeds):
            return "all values were tried"
        return None

    def _imagined(self, curve: int, level: float) -> CrossingPosterior:
        line, runs = self.curves[curve], self._runs[curve]
        positions = [line.positions[place] for place, _ in sorted(runs.pending)]
        return self.posterior(curve, level).imagined(positions)

    def _narrowing(self, curve: int, posterior: CrossingPosterior) -> tuple[int, int]:
        """Return the unused run, as a place and a seed, that narrows a crossing most."""
        line, used = self.curves[curve], self._runs[curve].used
        free = [
            place
            for place in range(len(line.values))
            if any((place, seed) not in used for seed in line.seeds)
        ]
        variance = posterior.variance_after(np.array([line.positions[place] for place in free]))
        place = free[int(variance.argmin())]
        times = Counter(seed for _, seed in used)
        seeds = [seed for seed in line.seeds if (place, seed) not in used]
        return place, min(seeds, key=lambda seed: (times[seed], line.seeds.index(seed)))
