"""The three phases of manifold formation ([W] Figs 3, 4)."""

from collections.abc import Sequence

import pandas as pd

from analysis import names
from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._numbers import measured, outcome, rank_correlation

_LEVEL = 0.6


def _in_order(table: pd.DataFrame) -> Outcome:
    rows = measured(table, "layer4/phase")
    courses = ["".join(r.sort_values("step")["layer4/phase"]) for _, r in rows.groupby("key")]
    ordered = [course for course in courses if list(course) == sorted(course)]
    through = [course for course in ordered if set(course) == set("ABC")]
    text = (
        f"{len(through)} of {len(courses)} trials go through A, B and C in this order; "
        f"{len(ordered)} never go back, {sum(c.endswith('C') for c in courses)} end in C."
    )
    return outcome(text, shown=len(through) > len(courses) / 2)


def _failures(table: pd.DataFrame) -> Outcome:
    shares = ["share_none", "share_misplaced", "share_several"]
    rows = measured(table, "layer4/phase", *shares)
    means = rows.groupby("layer4/phase")[shares].mean()
    if not {"A", "B"} <= set(means.index):
        raise NotMeasuredError(f"Only the phases {', '.join(means.index)} were seen.")
    parts = [
        f"{phase}: {100 * m.iloc[0]:.0f} % no bump, {100 * m.iloc[1]:.0f} % misplaced, "
        f"{100 * m.iloc[2]:.0f} % several"
        for phase, m in means.iterrows()
    ]
    second = means.loc["B"]
    most = bool(second["share_misplaced"] == second.max())
    mixed = bool((means.loc["A"] >= 0.05).all())
    return outcome("; ".join(parts) + ".", shown=most and mixed)


def _faster(table: pd.DataFrame) -> Outcome:
    rows = measured(table, "accuracy").sort_values("step")
    first = rows[rows["accuracy"] >= _LEVEL].groupby("key")["step"].min()
    trials = rows.drop_duplicates("key").set_index("key")["data.spacing"]
    steps = first.reindex(trials.index).groupby(trials).mean()  # of those that get there
    never = int(first.reindex(trials.index).isna().sum())
    means = rows[rows["step"] > 0].groupby("data.spacing")["accuracy"].mean()
    order = rank_correlation(list(means.index), list(means))
    parts = [
        f"{names.value('data.spacing', d)}: step {steps[d]:.0f}, {100 * means[d]:.0f} % on average"
        for d in means.index
    ]
    text = f"First at 60 %: {'; '.join(parts)}."
    text += f" {never} trials never." if never else ""
    return outcome(text, shown=order <= -0.8)


def _goes_with(table: pd.DataFrame) -> Outcome:
    metrics = ["layer4/r_squared_x", "layer4/r_squared_y"]
    rows = measured(table, "accuracy", *metrics)
    order = rank_correlation(list(rows["accuracy"]), list(rows[metrics].mean(axis=1)))
    text = f"Rank correlation of accuracy and mean R-squared over trials and steps: {order:.2f}."
    return outcome(text, shown=order >= 0.7)


CLAIMS: Sequence[Claim] = (
    Claim(
        "While training, representations go from no structure (A) over a manifold without order "
        "(B) to an ordered one (C).",
        "[W] Fig. 3",
        "more than half of the trials go through all three, in order",
        _in_order,
    ),
    Claim(
        "In A all failures occur; in B most failures are single bumps in the wrong place.",
        "[W] Fig. 3",
        "each failure at least 5 % in A, misplaced the largest in B",
        _failures,
    ),
    Claim(
        "Finer lattices are learnt in fewer steps.",
        "[W] Fig. 4a",
        "rank correlation of increment and mean accuracy over training of -0.8 or less",
        _faster,
    ),
    Claim(
        "Accuracy goes with an ordered representation.",
        "[W] Fig. 4",
        "rank correlation of at least 0.7",
        _goes_with,
    ),
)
