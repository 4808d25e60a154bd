"""The three phases of manifold formation ([W] Figs 3, 4)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._claims import by, finished, measured, outcome, rank_correlation
from analysis.plotting import axis_labels

_EARLY, _LEVEL = 0.2, 0.6
"""Accuracy below which a model is at the start of training, and from which it has learned."""

_FAILURES = {
    "share_none": "no bump",
    "share_misplaced": "one in the wrong place",
    "share_several": "several",
}


def _in_order(table: pd.DataFrame) -> Outcome:
    rows = measured(finished(table), "layer4/phase")
    courses = ["".join(r.sort_values("step")["layer4/phase"]) for _, r in rows.groupby("key")]
    ordered = [course for course in courses if list(course) == sorted(course)]
    through = [course for course in ordered if set(course) == set("ABC")]
    text = (
        f"{len(through)} of {len(courses)} trials go through A, B and C in this order; "
        f"{len(ordered)} never go back, {sum(c.endswith('C') for c in courses)} end in C."
    )
    return outcome(text, shown=len(through) > len(courses) / 2)


def _failures(table: pd.DataFrame) -> Outcome:
    rows = measured(table, "accuracy", *_FAILURES)
    early = rows[rows["accuracy"] < _EARLY]
    later = rows[(rows["accuracy"] >= _EARLY) & (rows["accuracy"] < _LEVEL)]
    if early.empty or later.empty:
        raise NotMeasuredError("No step with an accuracy below 20 %, or none between 20 and 60 %.")
    first, then = (part[list(_FAILURES)].mean() for part in (early, later))
    text = "; ".join(
        f"{when}: " + ", ".join(f"{100 * means[k]:.0f} % {w}" for k, w in _FAILURES.items())
        for when, means in (("Below 20 %", first), ("from 20 to 60 %", then))
    )
    mixed, misplaced = (first >= 0.05).all(), then["share_misplaced"] == then.max()
    return outcome(f"{text}.", shown=bool(mixed and misplaced))


def _faster(table: pd.DataFrame) -> Outcome:
    rows = measured(finished(table), "accuracy").sort_values("step")
    means = by(rows[rows["step"] > 0], "data.spacing", least=2)
    first = rows[rows["accuracy"] >= _LEVEL].groupby("key")["step"].min()
    trials = rows.drop_duplicates("key").set_index("key")["data.spacing"]
    steps = first.reindex(trials.index).groupby(trials)
    parts = [
        f"{axis_labels.value('data.spacing', d)}: "
        + (f"step {steps.mean()[d]:.0f}" if steps.count()[d] else "never")
        + f", {100 * means[d]:.0f} % on average"
        for d in means.index
    ]
    never = int(first.reindex(trials.index).isna().sum())
    text = f"First at 60 %: {'; '.join(parts)}."
    text += f" {never} trials never." if never else ""
    return outcome(text, shown=rank_correlation(list(means.index), list(means)) <= -0.8)


def _goes_with(table: pd.DataFrame) -> Outcome:
    metrics = ["layer4/r_squared_x", "layer4/r_squared_y"]
    rows = measured(table, "accuracy", *metrics)
    order = rank_correlation(list(rows["accuracy"]), list(rows[metrics].mean(axis=1)))
    text = f"Rank correlation of accuracy and mean R-squared over trials and steps: {order:.2f}."
    return outcome(text, shown=order >= 0.7)


CLAIMS: Sequence[Claim] = (
    Claim(
        "During training, models go from no structure (A) through single bumps in the wrong place "
        "(B) to an ordered manifold (C).",
        "[W] Fig. 3",
        "more than half of the trials go through all three phases, in order",
        _in_order,
    ),
    Claim(
        "At first all failures occur; later most failures are single bumps in the wrong place.",
        "[W] section 3",
        "below 20 % accuracy, each failure has a share of at least 5 %; from 20 to 60 %, single "
        "misplaced bumps have the largest share",
        _failures,
    ),
    Claim(
        "Finer lattices are learned in fewer steps.",
        "[W] Fig. 4a",
        "rank correlation of increment and mean accuracy over training at most -0.8",
        _faster,
    ),
    Claim(
        "Accuracy correlates with the order of the representation.",
        "[W] Fig. 4",
        "rank correlation of accuracy and mean R-squared at least 0.7",
        _goes_with,
    ),
)
