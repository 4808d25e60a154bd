"""Interpolation across a held-out band of labels, a lesion ([F] Fig. 11)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, Outcome
from analysis.findings._claims import (
    POINTS,
    by,
    listed,
    measured,
    outcome,
    percent,
    rank_correlation,
)
from analysis.tables.selection import final

_WIDTH = "data.held_out.width"


def _falls(table: pd.DataFrame) -> Outcome:
    rows = final(table)
    means = by(rows, _WIDTH, "accuracy_out_of_distribution", least=2)
    outside = measured(rows, "accuracy_in_distribution")["accuracy_in_distribution"]
    order = rank_correlation(list(means.index), list(means))
    text = (
        f"Inside the lesion: {listed(means, _WIDTH)} (rank correlation {order:.2f}); outside: "
        f"{percent(outside)}."
    )
    return outcome(text, shown=bool(order <= -0.8 and means.iloc[0] - means.iloc[-1] >= 2 * POINTS))


CLAIMS: Sequence[Claim] = (
    Claim(
        "Accuracy inside a lesion of the labels falls with its width.",
        "[F] Fig. 11b",
        "rank correlation of at most -0.8, and at least 20 points lower for the widest lesion than "
        "for the narrowest",
        _falls,
    ),
)
