"""Effect of the spread of the bumps on accuracy ([W] Fig. 8)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._claims import by, listed, measured, outcome, rank_correlation
from analysis.plotting import axis_labels
from analysis.tables.selection import final

_LEVEL = 0.6


def _no_dependence(table: pd.DataFrame) -> Outcome:
    texts, orders, learned = [], [], False
    for spacing, rows in measured(final(table), "accuracy").groupby("data.spacing"):
        means = by(rows, "data.sigma", least=2)
        learned |= bool((means >= _LEVEL).any())
        orders.append(rank_correlation(list(rows["data.sigma"]), list(rows["accuracy"])))
        texts.append(
            f"{axis_labels.value('data.spacing', spacing)}: {listed(means, 'data.sigma')} (rank "
            f"correlation {orders[-1]:.2f})"
        )
    text = "; ".join(texts) + "."
    if not learned:
        return Outcome("not reachable", f"No sigma is learned: {text}")
    return outcome(text, shown=all(abs(order) < 0.5 for order in orders))


def _seeds(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), "accuracy")
    grouped = rows.groupby(["data.spacing", "data.sigma"])["accuracy"]
    several = grouped.count() > 1
    ranges = (grouped.max() - grouped.min())[several].groupby("data.spacing").mean()
    if len(ranges) < 2:
        raise NotMeasuredError("Fewer than two increments have several seeds of one sigma.")
    text = f"Mean range over seeds: {listed(ranges, 'data.spacing')}."
    return outcome(text, shown=bool(ranges.is_monotonic_increasing and ranges.is_unique))


CLAIMS: Sequence[Claim] = (
    Claim(
        "Accuracy has no strong correlation with the spread of the bumps.",
        "[W] B.1, Fig. 8",
        "absolute rank correlation of sigma and accuracy over trials below 0.5 at every increment",
        _no_dependence,
    ),
    Claim(
        "Accuracy differs more between seeds on coarser lattices.",
        "[W] B.1",
        "mean range of accuracy over seeds larger at each larger increment",
        _seeds,
    ),
)
