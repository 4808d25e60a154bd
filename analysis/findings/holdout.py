"""Composition in a held-out square, in the middle of the seen labels or at a corner ([F] Fig. 12).

[F] (arXiv 2408.13256) was implemented from its captions, which say what the figure plots. That
accuracy falls, and falls earlier at the corner, is our reading.
"""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._claims import (
    POINTS,
    by,
    chosen,
    listed,
    measured,
    outcome,
    rank_correlation,
)
from analysis.plotting import axis_labels
from analysis.tables.selection import final

_WIDTH = "data.held_out.width"
_PLACE = "data.held_out.place"
_OOD = "accuracy_out_of_distribution"
_FAMILIES = ("bump", "sos")


def _falls(table: pd.DataFrame, place: str) -> Outcome:
    """Judge whether accuracy in the square falls with its side, for each data family."""
    rows = chosen(final(table), _PLACE, place)
    texts, shown = [], []
    for family in _FAMILIES:
        means = by(chosen(rows, "data.family", family), _WIDTH, _OOD, least=2)
        order = rank_correlation(list(means.index), list(means))
        shown.append(order <= -0.8 and means.iloc[0] - means.iloc[-1] >= 2 * POINTS)
        text = f"{axis_labels.bare(family)}: {listed(means, _WIDTH)}"
        texts.append(f"{text} (rank correlation {order:.2f})")
    return outcome("; ".join(texts) + ".", shown=all(shown))


def _corner(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), _OOD, _PLACE)
    texts, shown = [], []
    for family in _FAMILIES:
        means = chosen(rows, "data.family", family).pivot_table(_OOD, _WIDTH, _PLACE)
        both = means.dropna() if {"interior", "exterior"} <= set(means) else means.iloc[:0]
        if both.empty:
            raise NotMeasuredError(
                f"No side was measured at both places for {axis_labels.bare(family)}."
            )
        inside, corner = both["interior"].mean(), both["exterior"].mean()
        shown.append(inside - corner >= POINTS)
        texts.append(
            f"{axis_labels.bare(family)}: {100 * inside:.0f} % in the middle, {100 * corner:.0f} % "
            f"at the corner, mean of {len(both)} sides"
        )
    return outcome("; ".join(texts) + ".", shown=all(shown))


CLAIMS: Sequence[Claim] = (
    Claim(
        "In a square held out in the middle, accuracy falls with the side of the square, for bumps "
        "and for sums of stripes.",
        "[F] Fig. 12c, d (our reading)",
        "rank correlation of at most -0.8, and at least 20 points lower for the largest square "
        "than for the smallest, for both families",
        partial(_falls, place="interior"),
        ours=True,
    ),
    Claim(
        "In a square held out at the corner, accuracy falls with the side of the square as well.",
        "[F] Fig. 12e, f (our reading)",
        "rank correlation of at most -0.8, and at least 20 points lower for the largest square "
        "than for the smallest, for both families",
        partial(_falls, place="exterior"),
        ours=True,
    ),
    Claim(
        "Composing inside the range of seen labels is easier than beyond it.",
        "[F] Fig. 12 (our question)",
        "mean accuracy over the sides measured at both places at least 10 points higher in the "
        "middle, for both families",
        _corner,
        ours=True,
    ),
)
