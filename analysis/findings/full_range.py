"""Whether composition fails where a factor's range was not covered, and only there.

Reviews of [F] name a second condition for composition besides examples of both factors: each factor
has to cover its full range. The experiment is ours.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.tables import NEAREST, POINTS
from analysis.plotting import axis_labels
from analysis.tables.selection import final

_WIDTH, _CENTRE = "data.stripe_gap.width", "data.stripe_gap.centre"
_GAP = "gap"
_WORDS = {
    "none": "with all stripes",
    "cross": "without the stripes of the cross",
    "aside": "without as many others",
}
_PARTS = ("in_distribution", "arm_vertical", "arm_horizontal", "intersection")


def _gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Return the finished trials with a column that says where the gap of the stripes is.

    Raises:
        NotMeasuredError: Trials without a gap, or with one in the cross or elsewhere, are missing.
    """
    rows = final(table)

    def place(row: "pd.Series[float]") -> str:
        if axis_labels.missing(row.get(_WIDTH)):
            return "none"
        return "cross" if axis_labels.missing(row.get(_CENTRE)) else "aside"

    rows = rows.assign(**{_GAP: [place(row) for _, row in rows.iterrows()]})
    absent = set(_WORDS) - set(rows[_GAP])
    if absent:
        raise NotMeasuredError(f"No finished trial with this gap: {', '.join(sorted(absent))}.")
    return rows


def _text(rows: pd.DataFrame) -> str:
    parts = []
    for part in _PARTS:
        found = Accuracies(rows, f"accuracy_{part}", _GAP)
        values = ", ".join(f"{found.text({_GAP: gap})} {words}" for gap, words in _WORDS.items())
        parts.append(f"{part.replace('_', ' ').capitalize()}: {values}")
    return f"{'; '.join(parts)}."


def _loses(table: pd.DataFrame, gap: str, bound: float, side: Literal["above", "below"]) -> Outcome:
    """Judge how much accuracy in the intersection a gap of the stripes costs.

    The accuracy that stays, with or without the gap, has to be beyond the nearest example.
    """
    rows = _gaps(table)
    found = Accuracies(rows, "accuracy_intersection", _GAP)
    better = gap if side == "below" else "none"
    lost = found.difference(({_GAP: gap}, {_GAP: "none"}))
    beyond = found.mean({_GAP: better}, beyond=True)
    conditions = [
        Condition(f"loss in the intersection {_WORDS[gap]}", lost, bound, side),
        Condition(f"{_WORDS[better]} beyond the nearest example", beyond, 2 * POINTS),
    ]
    return decide(conditions, _text(rows), IN_BRACKETS)


def _beyond_composer(table: pd.DataFrame) -> Outcome:
    found = Accuracies(_gaps(table), "accuracy_intersection", _GAP)
    cells = {_GAP: "cross"}
    above = found.mean(cells).plus(-found.null(cells, "composed"))
    conditions = [
        Condition("beyond putting the nearest coordinates together", above, POINTS),
        Condition("beyond the nearest example", found.mean(cells, beyond=True), POINTS),
    ]
    return decide(conditions)


_SOURCE = "reviews of [F] (our question)"

CLAIMS: Sequence[Claim] = (
    Claim(
        "Composition fails where the stripes do not cover the range of the factors.",
        _SOURCE,
        "accuracy in the intersection more than 20 points lower without the stripes of the cross, "
        "and with all of them more than 20 points above the null model",
        NEAREST + "; putting the nearest coordinates together passes",
        partial(_loses, gap="cross", bound=2 * POINTS, side="above"),
        ours=True,
    ),
    Claim(
        "Stripes that are missing where 2D examples show their values do not matter.",
        _SOURCE,
        "accuracy in the intersection less than 10 points lower without as many other stripes, and "
        "more than 20 points above the null model",
        NEAREST + "; putting the nearest coordinates together passes",
        partial(_loses, gap="aside", bound=POINTS, side="below"),
        ours=True,
    ),
    Claim(
        "Where values were never seen, models interpolate them beyond the nearest seen ones.",
        _SOURCE,
        "accuracy in the intersection without the stripes of the cross more than 10 points above "
        "both null models",
        NEAREST + ", and putting the nearest coordinates together",
        _beyond_composer,
        ours=True,
    ),
)
