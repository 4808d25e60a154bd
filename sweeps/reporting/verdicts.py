"""Verdicts on the findings of a sweep, for the replication report and the HTML report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sweeps.planning.plan import Plan
from sweeps.reporting.failures import Failure, caught, failure

if TYPE_CHECKING:
    import pandas as pd

    from analysis.findings import Claim, Outcome

Verdicts = list[tuple["Claim", "Outcome"]]

METHOD = (
    "The rules by which a finding counts as shown are ours. It is {shown} if the 95 % interval of "
    "each estimate, in square brackets, lies on the right side of its bound, {not_shown} if one "
    "lies on the wrong side, and else {not_resolvable} with these runs. Each rule holds the "
    "finding against a null model, which has learned nothing of it."
)
"""How verdicts come about; the three verdicts are filled in with their emphasis."""


def judged(plan: Plan, rows: pd.DataFrame, failed: list[Failure]) -> Verdicts:
    """Judge the findings of a sweep's experiment.

    An exception in one finding does not affect the others.

    Args:
        plan: Plan of the sweep.
        rows: One row per trial and step; see `sweeps.reporting.reports.evaluations`.
        failed: List to which failures of findings are appended.

    Returns:
        Each claim with its outcome; none if the experiment has no findings, or if it could not be
        judged.
    """
    from analysis import findings  # noqa: PLC0415 - pandas and scipy cost a second

    found: Verdicts = []
    if plan.experiment not in findings.available():
        return found
    with caught(f"{plan.sweep}: findings", failed):
        found = findings.judge(plan.experiment, rows)
        failed += [
            failure(f"{plan.sweep}: finding '{claim.text}'", outcome.error)
            for claim, outcome in found
            if outcome.error is not None
        ]
    return found


def counts(found: Verdicts) -> dict[bool, Counter[str]]:
    """Return the number of findings by verdict, by whether the claim is our own."""
    tallies: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for claim, outcome in found:
        tallies[claim.ours][outcome.verdict] += 1
    return tallies


def tally(numbers: Mapping[str, int]) -> str:
    """Return the number of findings by verdict as a phrase."""
    return ", ".join(f"{count} {verdict}" for verdict, count in numbers.items()) or "none judged"
