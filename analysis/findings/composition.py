"""Composition of x and y in regions where they were never seen together ([F] Figs 4, 10)."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.tables import LEVEL, NEAREST, POINTS
from analysis.tables.selection import final

_FAMILY, _KIND, _SHARE = "data.family", "data.held_out.kind", "data.subsample"
_PARTS = ("in_distribution", "arm_vertical", "arm_horizontal", "intersection")


def _accuracies(table: pd.DataFrame, metric: str = "accuracy") -> Accuracies:
    return Accuracies(final(table), metric, _FAMILY, _KIND, _SHARE)


def _cells(family: str, share: float = 1.0, kind: str = "cross") -> dict[str, object]:
    return {_FAMILY: family, _KIND: kind, _SHARE: share}


def _adds(table: pd.DataFrame, family: str, called: str, what: str, least: float) -> Outcome:
    """Judge whether both kinds of examples are more accurate in the intersection than one kind."""
    found = _accuracies(table, "accuracy_intersection")
    alone, both = _cells(family), _cells("sos+stripes")
    conditions = [
        Condition(f"gain by adding {what}", found.difference((alone, both)), least),
        Condition(f"{called.lower()} alone", found.mean(alone), LEVEL, "below", "%"),
        Condition("both kinds beyond the nearest example", found.mean(both, beyond=True), POINTS),
    ]
    texts = []
    for part in _PARTS:
        means = _accuracies(table, f"accuracy_{part}")
        texts.append(f"{part.replace('_', ' ')}: {means.text(alone)} and {means.text(both)}")
    parts = "; ".join(texts)
    return decide(conditions, f"{called} alone and both kinds, {parts}.", IN_BRACKETS)


def _few_suffice(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    shares = found.values(_SHARE, {_FAMILY: "sos+stripes", _KIND: "cross"})
    if len(shares) < 2:
        raise NotMeasuredError("Stripes were combined with fewer than two numbers of 2D examples.")
    alone, few, most = (
        _cells("stripes"),
        _cells("sos+stripes", shares[0]),
        _cells("sos+stripes", shares[-1]),
    )
    half = found.combination([(1.0, few), (-0.5, alone), (-0.5, most)])
    conditions = [
        Condition(
            "gain of the fewest beyond that of the nearest example",
            found.difference((alone, few), beyond=True),
            POINTS,
        ),
        Condition("gain of the fewest less half of that of all", half, 0.0),
    ]
    text = (
        f"Stripes alone {found.text(alone)}; with {found.examples(few):.0f} 2D examples "
        f"{found.text(few)}, with all {found.examples(most):.0f} {found.text(most)}."
    )
    return decide(conditions, text, IN_BRACKETS)


def _fewer_needed(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    shares = [
        share
        for share in found.values(_SHARE, {_FAMILY: "sos", _KIND: "cross"})
        if share < 1 and share in found.values(_SHARE, {_FAMILY: "sos+stripes", _KIND: "cross"})
    ]
    if not shares:
        raise NotMeasuredError("No lambda below 1 was measured with and without stripes.")
    pairs = [(_cells("sos", share), _cells("sos+stripes", share)) for share in shares]
    what = f"gain by stripes, mean over {len(pairs)} values of λ"
    texts = [
        f"{found.text(alone)} alone and {found.text(both)} with stripes at λ = {share:g}"
        for share, (alone, both) in zip(shares, pairs, strict=True)
    ]
    text = f"2D examples: {'; '.join(texts)}."
    return decide([Condition(what, found.difference(*pairs), POINTS)], text, IN_BRACKETS)


def _rim(table: pd.DataFrame) -> Outcome:
    outside = _accuracies(table, "accuracy_out_of_distribution")
    alone, rim = (_cells(family, kind="rim") for family in ("stripes", "sos+stripes"))
    conditions = [
        Condition("gain where no 2D example is", outside.difference((alone, rim)), POINTS),
        Condition("beyond the nearest example", outside.mean(rim, beyond=True), POINTS),
    ]
    text = (
        f"Stripes alone {outside.text(alone)}; with {outside.examples(rim):.0f} 2D examples along "
        f"the rim {outside.text(rim)}."
    )
    return decide(conditions, text, IN_BRACKETS)


CLAIMS: Sequence[Claim] = (
    Claim(
        "Models trained on 1D stripes alone compose poorly; with added 2D examples they compose.",
        "[F] Fig. 4e",
        "accuracy in the intersection below 60 % with stripes alone, more than 20 points higher "
        "with 2D examples, and then more than 10 points above the null model",
        NEAREST,
        partial(_adds, family="stripes", called="Stripes", what="2D examples", least=2 * POINTS),
    ),
    Claim(
        "Models trained on 2D and 1D examples reach the intersection; with 2D examples alone they "
        "do not.",
        "[F] Fig. 4c-e",
        "accuracy in the intersection below 60 % with 2D examples alone, more than 10 points "
        "higher with stripes, and then more than 10 points above the null model",
        NEAREST + "; putting the nearest coordinates together is what composing means, and passes",
        partial(_adds, family="sos", called="2D examples", what="stripes", least=POINTS),
    ),
    Claim(
        "A few 2D examples in addition to the stripes suffice.",
        "[F] Fig. 4g",
        "the fewest 2D examples gain more than half of what all of them gain over stripes alone, "
        "and more than 10 points beyond the gain of the null model",
        NEAREST,
        _few_suffice,
    ),
    Claim(
        "With stripes, fewer 2D examples are needed.",
        "[F] Figs 4g, 5",
        "accuracy more than 10 points higher with stripes, mean over the values of lambda below 1; "
        "the null model has the same 2D examples in both, and no difference",
        NEAREST + "; putting the nearest coordinates together passes",
        _fewer_needed,
    ),
    Claim(
        "2D examples only along the rim are enough to improve on stripes alone.",
        "[F] Fig. 10",
        "accuracy where there are no 2D examples more than 10 points higher with the rim, and more "
        "than 10 points above the null model",
        NEAREST,
        _rim,
    ),
)
