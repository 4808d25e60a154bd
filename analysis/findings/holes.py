"""Filling a hole in the training labels ([W] Fig. 9)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.tables import IMAGE, NEAREST, POINTS, measured
from analysis.measures.phases import ORDERED
from analysis.plotting import axis_labels
from analysis.statistics.estimate import of_mean
from analysis.tables.selection import final

_WIDTH = "data.held_out.width"
_SMALL, _LARGE = 0.075, 0.15
"""Largest share of the labels in a hole comparable to [W]'s of 3.5 %, and to its hole of 10 %."""

_BEYOND_IMAGE = 0.1  # least R-squared above that of the image that counts


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


def _inside(rows: pd.DataFrame) -> Accuracies:
    return Accuracies(rows, "accuracy_out_of_distribution", _WIDTH)


def _beyond(found: Accuracies, side: float) -> Condition:
    beyond = found.mean({_WIDTH: side}, beyond=True)
    return Condition(f"beyond the nearest example at W = {side:g}", beyond, POINTS)


def _text(rows: pd.DataFrame) -> str:
    inside, around = _inside(rows), Accuracies(rows, "accuracy_in_distribution", _WIDTH)
    return "; ".join(
        f"{where}: {found.listed(_WIDTH, found.values(_WIDTH), {})}"
        for where, found in (("In the hole", inside), ("around it", around))
    )


def _filled(table: pd.DataFrame) -> Outcome:
    rows, small, large = _holes(table)
    both = measured(rows, "accuracy_in_distribution", "accuracy_out_of_distribution")
    lost = both.assign(lost=both["accuracy_in_distribution"] - both["accuracy_out_of_distribution"])
    conditions = [
        Condition(
            f"around it less in the hole of W = {side:g}",
            of_mean(measured(lost[lost[_WIDTH] == side], "lost")["lost"]),
            2 * POINTS,
            "below",
        )
        for side in (small, large)
    ]
    conditions.append(_beyond(_inside(rows), large))
    return decide(conditions, f"{_text(rows)}.", IN_BRACKETS)


def _larger(table: pd.DataFrame) -> Outcome:
    rows, small, large = _holes(table)
    found = _inside(rows)
    lost = found.difference(({_WIDTH: large}, {_WIDTH: small}))
    what = f"W = {small:g} less W = {large:g}"
    conditions = [
        Condition(what, lost, 0.0),
        Condition(what, lost, 2 * POINTS, "below"),
        _beyond(found, large),
    ]
    return decide(conditions, f"{_text(rows)}.", IN_BRACKETS)


def _ordered(table: pd.DataFrame) -> Outcome:
    rows, small, large = _holes(table)
    model, image = (
        [f"layer4/{prefix}r_squared_{axis}" for axis in "xy"] for prefix in ("", "null_image_")
    )
    rows = measured(rows, *model, *image)
    rows = rows.assign(fit=rows[model].mean(axis=1), null=rows[image].mean(axis=1))
    conditions, texts = [], []
    for side in (small, large):
        found = measured(rows[rows[_WIDTH] == side], "fit")
        place = axis_labels.value(_WIDTH, side)
        conditions += [
            Condition(f"R-squared at {place}", of_mean(found["fit"]), ORDERED, unit=""),
            Condition(
                f"above that of the image at {place}",
                of_mean(found["fit"] - found["null"]),
                _BEYOND_IMAGE,
                unit="",
            ),
        ]
        texts.append(f"{found['null'].mean():.2f} at {place}")
    text = f"R-squared of the images: {', '.join(texts)}."
    ordered = all(condition.verdict == "shown" for condition in conditions[::2])
    if ordered and rows["null"].min() > 1 - _BEYOND_IMAGE:
        reason = (
            f"Nothing can be {_BEYOND_IMAGE:g} above them: it takes a measure that the images do "
            "not fulfil already."
        )
        return Outcome("not resolvable", f"{decide(conditions, text).numbers} {reason}")
    return decide(conditions, text)


CLAIMS: Sequence[Claim] = (
    Claim(
        "Models fill holes of about 4 and 10 % of the labels.",
        "[W] B.2, Fig. 9",
        "accuracy in both holes less than 20 points below that around them, and in the larger one "
        "more than 10 points above the null model",
        NEAREST + "; every x and y is seen beside a hole, so composing alone fills it",
        _filled,
    ),
    Claim(
        "The larger of the two holes is filled only slightly worse.",
        "[W] B.2",
        "accuracy in the larger hole lower, by less than 20 points, and more than 10 points above "
        "the null model",
        NEAREST,
        _larger,
    ),
    Claim(
        "With a hole in the data, the representation is still an ordered manifold.",
        "[W] B.2",
        f"R-squared of both labels from the embedding, mean over seeds, above {ORDERED:g}, and "
        f"more than {_BEYOND_IMAGE:g} above that of the null model, for both holes",
        IMAGE,
        _ordered,
    ),
)
