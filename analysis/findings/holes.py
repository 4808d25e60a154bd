"""Filling a hole in what was shown ([W] Fig. 9)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, Outcome
from analysis.findings._numbers import POINTS, by, listed, measured, outcome
from analysis.phases import ORDERED
from analysis.tables import final

_WIDTH = "data.held_out.width"


def _filled(table: pd.DataFrame) -> Outcome:
    rows = final(table)
    inside = by(rows, _WIDTH, "accuracy_out_of_distribution", least=2)
    outside = by(rows, _WIDTH, "accuracy_in_distribution")
    text = f"In the hole {listed(inside, _WIDTH)}; around it {listed(outside, _WIDTH)}."
    two = (outside - inside).iloc[:2]  # [W]'s holes; the experiment may add a larger one
    return outcome(text, shown=bool((two < 2 * POINTS).all()))


def _larger(table: pd.DataFrame) -> Outcome:
    inside = by(final(table), _WIDTH, "accuracy_out_of_distribution", least=2)
    text = f"In the hole {listed(inside, _WIDTH)}."
    lost = inside.iloc[0] - inside.iloc[1]
    return outcome(text, shown=bool(0 <= lost < 2 * POINTS))


def _ordered(table: pd.DataFrame) -> Outcome:
    metrics = ["layer4/r_squared_x", "layer4/r_squared_y"]
    rows = measured(final(table), *metrics)
    means = rows.groupby(_WIDTH)[metrics].mean().mean(axis=1)
    text = f"R-squared, mean of x and y: {listed(means, _WIDTH, share=False)}."
    return outcome(text, shown=bool((means.iloc[:2] >= ORDERED).all()))


CLAIMS: Sequence[Claim] = (
    Claim(
        "Models fill holes of about 4 and 10 % of the labels.",
        "[W] B.2, Fig. 9",
        "accuracy in both of these holes within 20 points of that around them",
        _filled,
    ),
    Claim(
        "The larger hole is filled only slightly worse.",
        "[W] B.2",
        "lower by less than 20 points, and not higher",
        _larger,
    ),
    Claim(
        "With a hole in the data the representation is still an ordered manifold.",
        "[W] B.2",
        f"mean R-squared of both labels from the embedding at least {ORDERED:g}",
        _ordered,
    ),
)
