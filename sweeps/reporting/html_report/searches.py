"""What a search knows: crossings of a threshold search, the best runs of any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sweeps.planning.plan import Plan
from sweeps.planning.search import threshold
from sweeps.planning.search.spec import THRESHOLD
from sweeps.reporting.html_report.columns import rounded
from sweeps.reporting.html_report.runs import ReportedRun

BEST = 5
"""Number of best runs."""


@dataclass(frozen=True)
class SearchTable:
    """What a search knows, as a table."""

    summary: str
    """The search in one sentence."""

    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def search_of(plan: Plan, runs: Sequence[ReportedRun]) -> SearchTable | None:
    """Return what the search of a plan knows, None without a search.

    Raises:
        UserError: An option of the search is not allowed.
    """
    if plan.search is None:
        return None
    picked = sum(1 for run in runs if run.trial.adopted is None)
    earlier = len(runs) - picked
    name = plan.search.algorithm.rpartition(".")[2]
    summary = f"The search '{name}' has picked {picked} of at most {plan.search.runs} runs"
    summary += f" and uses {earlier} of earlier sweeps." if earlier else "."
    if plan.search.algorithm == THRESHOLD:
        return _crossings(plan, f"{summary} Intervals hold 90 % of the posterior.")
    return _best(plan, runs, summary)


def _crossings(plan: Plan, summary: str) -> SearchTable:
    rows = []
    unit = ""
    for one in threshold.of_plan(plan).findings():
        text, unit = one.axis.text, one.axis.unit
        remarks = [one.over, one.check and f"a monotone fit {one.check}"]
        if one.guess is not None:
            remarks.append(f"the prior expected {text(one.guess)}")
        rows.append(
            [
                one.curve,
                f"{100 * one.level:g} %",
                text(one.interval.middle),
                f"{text(one.interval.low)} to {text(one.interval.high)}",
                str(one.runs),
                "; ".join(filter(None, remarks)) or "needs further runs",
            ]
        )
    head = ["Curve", "Level", f"Crossing ({unit})", f"Interval ({unit})", "Runs", "State"]
    return SearchTable(summary, head, rows)


def _best(plan: Plan, runs: Sequence[ReportedRun], summary: str) -> SearchTable:
    assert plan.search is not None
    metric, sign = plan.search.metric, -1 if plan.search.mode == "max" else 1
    measured = [
        (float(run.result["metrics"][metric]), run.trial.name)
        for run in runs
        if run.result is not None and metric in run.result["metrics"]
    ]
    best = sorted(measured, key=lambda pair: sign * pair[0])[:BEST]
    what = "largest" if plan.search.mode == "max" else "smallest"
    return SearchTable(
        f"{summary} It looks for the {what} {metric}.",
        ["Run", metric],
        [[name, str(rounded(value))] for value, name in best],
    )
