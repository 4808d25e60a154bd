"""Composition in a held-out square, in the middle of the seen labels or at a corner ([F] Fig. 12).

[F] (arXiv 2408.13256) was implemented from its captions, which say what the figure plots. That
accuracy falls, and falls earlier at the corner, is our reading.
"""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.tables import NEAREST, POINTS
from analysis.plotting import axis_labels
from analysis.tables.selection import final

_FAMILY, _PLACE, _WIDTH = "data.family", "data.held_out.place", "data.held_out.width"
_FAMILIES = ("bump", "sos")


def _accuracies(table: pd.DataFrame) -> Accuracies:
    return Accuracies(final(table), "accuracy_out_of_distribution", _FAMILY, _PLACE, _WIDTH)


def _sides(found: Accuracies, family: str, place: str) -> list[float]:
    return found.values(_WIDTH, {_FAMILY: family, _PLACE: place})


def _falls(table: pd.DataFrame, place: str) -> Outcome:
    """Judge whether accuracy in the square falls with its side, for each data family."""
    found, conditions, texts = _accuracies(table), [], []
    for family in _FAMILIES:
        sides, name = _sides(found, family, place), axis_labels.bare(family)
        if len(sides) < 2:
            raise NotMeasuredError(f"Fewer than two sides were measured for {name} ({place}).")
        cells = {_FAMILY: family, _PLACE: place}
        small, large = ({**cells, _WIDTH: side} for side in (sides[0], sides[-1]))
        lost = found.difference((large, small))
        beyond = found.mean(cells, beyond=True)
        conditions += [
            Condition(f"{name}, smallest less largest square", lost, 2 * POINTS),
            Condition(f"{name}, mean beyond the nearest example", beyond, POINTS / 2),
        ]
        texts.append(f"{name}: {found.listed(_WIDTH, sides, cells)}")
    return decide(conditions, f"{'; '.join(texts)}.", IN_BRACKETS)


def _corner(table: pd.DataFrame) -> Outcome:
    found, conditions, texts = _accuracies(table), [], []
    for family in _FAMILIES:
        name = axis_labels.bare(family)
        sides = [
            side
            for side in _sides(found, family, "interior")
            if side in _sides(found, family, "exterior")
        ]
        if not sides:
            raise NotMeasuredError(f"No side was measured at both places for {name}.")
        cells: dict[str, object] = {_FAMILY: family}
        pairs = [
            (
                {**cells, _WIDTH: side, _PLACE: "exterior"},
                {**cells, _WIDTH: side, _PLACE: "interior"},
            )
            for side in sides
        ]
        what = f"{name}, middle less corner, each beyond the nearest example"
        conditions.append(Condition(what, found.difference(*pairs, beyond=True), POINTS))
        both = {place: {**cells, _PLACE: place} for place in ("interior", "exterior")}
        texts.append(
            f"{name}: {found.text(both['interior'])} in the middle and "
            f"{found.text(both['exterior'])} at the corner"
        )
    return decide(conditions, f"{'; '.join(texts)}.", IN_BRACKETS)


_RULE = (
    "accuracy in the smallest square more than 20 points higher than in the largest, and on "
    "average over the sides more than 5 points above the null model, for both families"
)

CLAIMS: Sequence[Claim] = (
    Claim(
        "In a square held out in the middle, accuracy falls with the side of the square, for bumps "
        "and for sums of stripes.",
        "[F] Fig. 12c, d (our reading)",
        _RULE,
        NEAREST,
        partial(_falls, place="interior"),
        ours=True,
    ),
    Claim(
        "In a square held out at the corner, accuracy falls with the side of the square as well.",
        "[F] Fig. 12e, f (our reading)",
        _RULE,
        NEAREST,
        partial(_falls, place="exterior"),
        ours=True,
    ),
    Claim(
        "Composing inside the range of seen labels is easier than beyond it.",
        "[F] Fig. 12 (our question)",
        "accuracy beyond the null model more than 10 points higher in the middle, mean over the "
        "sides measured at both places, for both families",
        NEAREST,
        _corner,
        ours=True,
    ),
)
