"""What a search may spend, and what it has spent."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sweeps.planning.search.spec import SearchSpec


class Budget:
    """Counts the runs of a search, their steps and their hours, without those of earlier sweeps.

    Args:
        spec: The search, with its limits.
    """

    def __init__(self, spec: SearchSpec) -> None:
        self._spec = spec
        self._runs, self._steps, self._hours = 0, 0, 0.0

    def picked(self, steps: int) -> None:
        """Count a run that was picked.

        Args:
            steps: Its number of optimizer steps.
        """
        self._runs += 1
        self._steps += steps

    def ended(self, seconds: Mapping[str, float]) -> None:
        """Count the time of a finished run.

        Args:
            seconds: Seconds by phase, as in its result.
        """
        self._hours += sum(seconds.values()) / 3600

    def over(self) -> str | None:
        """Return which limit is reached, or None."""
        spec = self._spec
        if self._runs >= spec.runs:
            return f"{spec.runs} runs were picked"
        if spec.steps is not None and self._steps >= spec.steps:
            return f"{self._steps:,} steps were picked"
        if spec.hours is not None and self._hours >= spec.hours:
            return f"its runs took {self._hours:.2g} hours"
        return None

    def runs_left(self, steps: int) -> int:
        """Return the maximum number of runs that are still picked.

        Args:
            steps: Number of optimizer steps of a run, if none was picked yet.
        """
        if self.over() is not None:
            return 0
        left = self._spec.runs - self._runs
        if self._spec.steps is not None:
            each = self._steps / self._runs if self._runs else steps
            left = min(left, math.ceil((self._spec.steps - self._steps) / each))
        return left
