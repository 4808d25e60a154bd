"""Rules: conditions on estimates, and the verdict that follows from their intervals.

A condition is met if the whole 95 % interval lies on the right side of a bound, and not met if the
whole interval lies on the other side. In between, the runs cannot tell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.findings import Outcome, Verdict
from analysis.statistics.estimate import Estimate

Unit = Literal["points", "%", "pixels", ""]

_MANY = 100  # seeds beyond which no number is given


@dataclass(frozen=True)
class Condition:
    """A bound on an estimate."""

    what: str
    """What is estimated."""

    estimate: Estimate

    bound: float
    """Shares are between 0 and 1, whatever the unit."""

    side: Literal["above", "below"] = "above"
    """On which side of the bound the estimate has to lie."""

    unit: Unit = "points"
    """`points` and `%` are for shares."""

    takes: str = ""
    """What it would take to decide, if it is not more seeds."""

    @property
    def verdict(self) -> Verdict:
        """Whether the condition is met."""
        found = self.estimate if self.side == "above" else -self.estimate
        bound = self.bound if self.side == "above" else -self.bound
        if found.low > bound:
            return "shown"
        return "not shown" if found.high <= bound else "not resolvable"

    def __str__(self) -> str:
        bound = _number(self.bound, self.unit)
        return f"{self.what} {shown(self.estimate, self.unit)}, to be {self.side} {bound}"

    @property
    def needs(self) -> str:
        """What it would take to decide."""
        if self.takes:
            return self.takes
        seeds = self.estimate.runs_to_exclude(self.bound)
        if self.estimate.runs < 2:
            return "at least two seeds"
        return f"about {seeds:.0f} seeds" if seeds <= _MANY else f"more than {_MANY} seeds"


def shown(estimate: Estimate, unit: Unit = "%") -> str:
    """Format an estimate with its interval: `22 points [15, 30]`."""
    value = _with_unit(_number(estimate.value, unit), unit)
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return f"{value} [no interval from {estimate.runs} seed{'s' * (estimate.runs != 1)}]"
    return f"{value} [{_number(estimate.low, unit)}, {_number(estimate.high, unit)}]"


def decide(conditions: Sequence[Condition], *more: str) -> Outcome:
    """Return the outcome of a claim that needs all conditions.

    Args:
        conditions: At least one.
        more: Sentences to add to the numbers.
    """
    verdicts = [condition.verdict for condition in conditions]
    sentences = [_joined(conditions), *more]
    if "not shown" in verdicts:
        return Outcome("not shown", " ".join(sentences))
    if "not resolvable" in verdicts:
        open_ones = [c for c in conditions if c.verdict == "not resolvable"]
        worst = max(open_ones, key=lambda c: c.estimate.runs_to_exclude(c.bound))
        sentences.append(f"It would take {worst.needs} ({worst.what}).")
        return Outcome("not resolvable", " ".join(sentences))
    return Outcome("shown", " ".join(sentences))


def _joined(conditions: Sequence[Condition]) -> str:
    text = "; ".join(map(str, conditions))
    return f"{text[0].upper()}{text[1:]}."


def _number(value: float, unit: Unit) -> str:
    if unit in ("points", "%"):
        return f"{100 * value:.0f}"
    return f"{value:.2f}"


def _with_unit(number: str, unit: Unit) -> str:
    return f"{number} {unit}" if unit else number
