"""The three phases of manifold formation ([W] Figs 3, 4)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.coupling import UNRELATED, excess_correlations
from analysis.findings._rules.tables import (
    CONSTANT,
    LEVEL,
    finished,
    first_step,
    measured,
)
from analysis.plotting import axis_labels
from analysis.statistics.estimate import of_mean, of_share, of_slope

_EARLY = 0.2  # accuracy below which a model is at the start of training

_FAILURES = {
    "failure_none": "no bump",
    "failure_misplaced": "one in the wrong place",
    "failure_several": "several",
}
_SPACING = "data.spacing"
_FITS = ("layer4/r_squared_x", "layer4/r_squared_y")


def _in_order(table: pd.DataFrame) -> Outcome:
    rows = measured(finished(table), "layer4/phase")
    courses = ["".join(r.sort_values("step")["layer4/phase"]) for _, r in rows.groupby("key")]
    ordered = [course for course in courses if list(course) == sorted(course)]
    through = [course for course in ordered if set(course) == set("ABC")]
    text = (
        f"{len(through)} of {len(courses)} trials go through A, B and C in this order; "
        f"{len(ordered)} never go back, {sum(c.endswith('C') for c in courses)} end in C."
    )
    share = of_share(len(through), len(courses))
    return decide([Condition("share of the trials", share, 0.5, unit="%")], text)


def _failures(table: pd.DataFrame) -> Outcome:
    rows = measured(table, "accuracy", *_FAILURES)
    early = rows[rows["accuracy"] < _EARLY]
    later = rows[(rows["accuracy"] >= _EARLY) & (rows["accuracy"] < LEVEL)]
    if early.empty or later.empty:
        raise NotMeasuredError("No step with an accuracy below 20 %, or none between 20 and 60 %.")
    first, then = (part.groupby("key")[list(_FAILURES)].mean() for part in (early, later))
    conditions = [
        Condition(f"{name} below 20 %", of_mean(first[column]), 0.05, unit="%")
        for column, name in _FAILURES.items()
    ]
    rest = then[["failure_none", "failure_several"]].max(axis=1)
    what = "one in the wrong place less the next, from 20 to 60 %"
    conditions.append(Condition(what, of_mean(then["failure_misplaced"] - rest), 0.0))
    shares = ", ".join(f"{100 * then[k].mean():.0f} % {w}" for k, w in _FAILURES.items())
    return decide(conditions, f"From 20 to 60 %: {shares}.")


def _faster(table: pd.DataFrame) -> Outcome:
    metric = "accuracy_half_pixel"
    rows = measured(finished(table), metric, _SPACING)
    curves = {key: part.set_index("step").sort_index() for key, part in rows.groupby("key")}
    steps = pd.DataFrame(
        [(curve[_SPACING].iloc[0], first_step(curve[metric])) for curve in curves.values()],
        columns=["d", "step"],
    )
    if steps["d"].nunique() < 2:
        raise NotMeasuredError("One increment alone was trained.")
    at = ", ".join(
        f"{axis_labels.value(_SPACING, d)}: {part['step'].mean():.0f}"
        for d, part in steps.groupby("d")
    )
    text = f"First at 60 % within half a pixel, by step: {at}."
    # Trials on the coarsest lattice that never get there count as if they did at the end, which
    # makes the slope smaller than it is.
    never = np.isinf(steps["step"]) & (steps["d"] == steps["d"].max())
    steps.loc[never, "step"] = rows["step"].max()
    open_trials = int((~np.isfinite(steps["step"])).sum())
    if open_trials:
        return Outcome(
            "not resolvable",
            f"{open_trials} of {len(steps)} trials are above 60 % at the first evaluation or "
            f"never: evaluate earlier, or train longer. {text}",
        )
    slope = of_slope(np.log(steps["d"]).to_list(), np.log(steps["step"]).to_list())
    what = "slope of log(steps) against log(d)"
    return decide([Condition(what, slope, 0.0, unit="")], text)


def _goes_with(table: pd.DataFrame) -> Outcome:
    rows = measured(finished(table), "accuracy", *_FITS)
    rows = rows.assign(fit=rows[list(_FITS)].mean(axis=1))
    own, beyond = excess_correlations(rows, "accuracy", "fit", within=rows[_SPACING], rank=True)
    conditions = [
        Condition("rank correlation over the steps of a run", of_mean(own), 0.7, unit=""),
        Condition("the same beyond that of different runs", of_mean(beyond), 0.0, unit=""),
    ]
    return decide(conditions)


CLAIMS: Sequence[Claim] = (
    Claim(
        "During training, models go from no structure (A) through single bumps in the wrong place "
        "(B) to an ordered manifold (C).",
        "[W] Fig. 3",
        "more than half of the trials go through all three phases, in order; the null model stays "
        "in one",
        CONSTANT,
        _in_order,
    ),
    Claim(
        "At first all failures occur; later most failures are single bumps in the wrong place.",
        "[W] section 3",
        "below 20 % accuracy, each failure has a share above 5 %; from 20 to 60 %, single "
        "misplaced bumps have the largest share; the null model is not on both sides of 20 %",
        CONSTANT,
        _failures,
    ),
    Claim(
        "Finer lattices are learned in fewer steps.",
        "[W] Fig. 4a",
        "steps to 60 % accuracy within half a pixel grow with the increment; within a whole pixel, "
        "lattices of up to two pixels can be memorized; the null model takes no steps",
        CONSTANT,
        _faster,
    ),
    Claim(
        "Accuracy correlates with the order of the representation.",
        "[W] Fig. 4",
        "rank correlation of accuracy and mean R-squared over the steps of a run, mean over the "
        "runs, above 0.7, and higher than with the R-squared of other runs of the same lattice",
        UNRELATED,
        _goes_with,
    ),
)
