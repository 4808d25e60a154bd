"""Composing in a held-out square, in the middle of what was seen and at a corner ([F] Fig. 12)."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis import names
from analysis.findings import Claim, Outcome
from analysis.findings._numbers import POINTS, by, chosen, listed, outcome, rank_correlation
from analysis.tables import final

_WIDTH = "data.held_out.width"
_OOD = "accuracy_out_of_distribution"


def _falls(table: pd.DataFrame, place: str) -> Outcome:
    """Whether accuracy in the square falls with its side, for each family."""
    rows = chosen(final(table), "data.held_out.place", place)
    texts, shown = [], []
    for family, trials in rows.groupby("data.family", sort=False):
        means = by(trials, _WIDTH, _OOD, least=2)
        order = rank_correlation(list(means.index), list(means))
        shown.append(order <= -0.8 and means.iloc[0] - means.iloc[-1] >= 2 * POINTS)
        text = f"{names.bare(family)}: {listed(means, _WIDTH)}"
        texts.append(f"{text} (rank correlation {order:.2f})")
    return outcome("; ".join(texts) + ".", shown=all(shown))


def _corner(table: pd.DataFrame) -> Outcome:
    rows = final(table)
    interior = by(chosen(rows, "data.held_out.place", "interior"), "data.family", _OOD)
    exterior = by(chosen(rows, "data.held_out.place", "exterior"), "data.family", _OOD)
    text = "; ".join(
        f"{names.bare(f)}: {100 * interior[f]:.0f} % in the middle, {100 * exterior[f]:.0f} % "
        "at the corner"
        for f in interior.index.intersection(exterior.index)
    )
    return outcome(f"Over all sides, {text}.", shown=bool((interior - exterior >= POINTS).all()))


CLAIMS: Sequence[Claim] = (
    Claim(
        "In a square held out of the middle, accuracy falls with the side, for bumps and for sums "
        "of stripes.",
        "[F] Fig. 12c, d",
        "rank correlation of -0.8 or less and 20 points, for both",
        partial(_falls, place="interior"),
    ),
    Claim(
        "In a square held out of the corner likewise.",
        "[F] Fig. 12e, f",
        "rank correlation of -0.8 or less and 20 points, for both",
        partial(_falls, place="exterior"),
    ),
    Claim(
        "Composing inside what was seen is easier than beyond it (what [F] sets side by side; that "
        "they differ is our question).",
        "[F] Fig. 12",
        "mean over all sides higher by 10 points in the middle, for both",
        _corner,
    ),
)
