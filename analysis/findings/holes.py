"""Filling a hole in the training labels ([W] Fig. 9)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._claims import POINTS, by, listed, measured, outcome
from analysis.measures.phases import ORDERED
from analysis.tables.selection import final

_WIDTH = "data.held_out.width"
_SMALL, _LARGE = 0.075, 0.15
"""Largest share of the labels in a hole comparable to [W]'s of 3.5 %, and to its hole of 10 %."""


def _holes(table: pd.DataFrame) -> tuple[pd.DataFrame, float, float]:
    """Return the finished trials, and the sides of the two holes comparable to those of [W].

    Raises:
        NotMeasuredError: Trials with one of the two holes are missing.
    """
    rows = final(table)
    shares = (rows[_WIDTH] / (rows["data.size"] - 1)) ** 2
    small = sorted(rows.loc[shares <= _SMALL, _WIDTH].unique())
    large = sorted(rows.loc[(shares > _SMALL) & (shares <= _LARGE), _WIDTH].unique())
    if not (small and large):
        raise NotMeasuredError(
            "Trials with a hole of about 4 % or with one of about 10 % of the labels are missing."
        )
    return rows, float(small[-1]), float(large[-1])


def _filled(table: pd.DataFrame) -> Outcome:
    rows, small, large = _holes(table)
    inside = by(rows, _WIDTH, "accuracy_out_of_distribution")
    outside = by(rows, _WIDTH, "accuracy_in_distribution")
    text = f"In the hole: {listed(inside, _WIDTH)}; around it: {listed(outside, _WIDTH)}."
    lost = (outside - inside).reindex([small, large])
    return outcome(text, shown=bool((lost < 2 * POINTS).all()))


def _larger(table: pd.DataFrame) -> Outcome:
    rows, small, large = _holes(table)
    inside = by(rows, _WIDTH, "accuracy_out_of_distribution")
    lost = inside.get(small, float("nan")) - inside.get(large, float("nan"))
    text = f"In the hole: {listed(inside, _WIDTH)}."
    return outcome(text, shown=bool(0 <= lost < 2 * POINTS))


def _ordered(table: pd.DataFrame) -> Outcome:
    rows, small, large = _holes(table)
    metrics = ["layer4/r_squared_x", "layer4/r_squared_y"]
    means = measured(rows, *metrics).groupby(_WIDTH)[metrics].mean().mean(axis=1)
    text = f"R-squared, mean of x and y: {listed(means, _WIDTH, share=False)}."
    return outcome(text, shown=bool((means.reindex([small, large]) >= ORDERED).all()))


CLAIMS: Sequence[Claim] = (
    Claim(
        "Models fill holes of about 4 and 10 % of the labels.",
        "[W] B.2, Fig. 9",
        "accuracy in both holes less than 20 points below that around them",
        _filled,
    ),
    Claim(
        "The larger of the two holes is filled only slightly worse.",
        "[W] B.2",
        "accuracy in the larger hole lower by less than 20 points, and not higher",
        _larger,
    ),
    Claim(
        "With a hole in the data, the representation is still an ordered manifold.",
        "[W] B.2",
        f"mean R-squared of both labels from the embedding at least {ORDERED:g}, for both holes",
        _ordered,
    ),
)
