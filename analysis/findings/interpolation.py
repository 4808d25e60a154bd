"""Interpolation across a held-out band of labels, a lesion ([F] Fig. 11).

The *reach* of a model is how far from the edge of the lesion it is right: its accuracy inside times
half of the width, in pixels. Copying the nearest example has a reach, too, since a pixel of error
is allowed. The reach is our definition.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide, shown
from analysis.findings._rules.tables import NEAREST, POINTS
from analysis.statistics.cell_means import Terms
from analysis.tables.selection import final

_WIDTH, _SIGMA = "data.held_out.width", "data.sigma"

_WIDE = 2.0  # pixels; copying fills narrower lesions, whose edges are less than a pixel away
_FURTHER = 0.2  # pixels; least difference of reaches that counts
_LEARNED = 0.9  # accuracy outside of the lesion from which its inside can be judged


def _accuracies(table: pd.DataFrame) -> Accuracies:
    rows = final(table)
    if not {_WIDTH, _SIGMA} <= set(rows):
        raise NotMeasuredError(f"The trials lack {_WIDTH} or {_SIGMA}.")
    return Accuracies(rows, "accuracy_out_of_distribution", _WIDTH, _SIGMA)


def _widths(found: Accuracies, sigmas: Sequence[float]) -> list[float]:
    """Return the wide lesions that were measured with all of the sigmas.

    Raises:
        NotMeasuredError: There is none.
    """
    sets = [set(found.values(_WIDTH, {_SIGMA: sigma})) for sigma in sigmas]
    widths = sorted(width for width in set.intersection(*sets) if width >= _WIDE)
    if not widths:
        raise NotMeasuredError(f"No lesion of at least {_WIDE:g} pixels was measured.")
    return widths


def _richest(found: Accuracies) -> float:
    """Return the sigma that was measured with most widths, the largest of several."""
    widths = {sigma: found.values(_WIDTH, {_SIGMA: sigma}) for sigma in found.values(_SIGMA)}
    return max(widths, key=lambda sigma: (len(widths[sigma]), sigma))


def _falls(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    cells: dict[str, object] = {_SIGMA: _richest(found)}
    widths = _widths(found, [_richest(found)])
    if len(widths) < 2:
        raise NotMeasuredError("Fewer than two widths were measured.")
    narrow, wide = ({**cells, _WIDTH: width} for width in (widths[0], widths[-1]))
    terms = [(1 / len(widths), {**cells, _WIDTH: width}) for width in widths]
    conditions = [
        Condition("narrowest less widest", found.difference((wide, narrow)), 2 * POINTS),
        Condition(
            "mean beyond the nearest example", found.combination(terms, beyond=True), POINTS / 2
        ),
    ]
    return decide(conditions, f"{found.listed(_WIDTH, widths, cells)}.", IN_BRACKETS)


def _reach(found: Accuracies, sigma: float, widths: Sequence[float]) -> Terms:
    """Return the reach, mean over lesions, in pixels, as a sum of accuracies."""
    return [(width / 2 / len(widths), {_SIGMA: sigma, _WIDTH: width}) for width in widths]


def _beyond(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    sigma = _richest(found)
    widths = _widths(found, [sigma])
    terms = _reach(found, sigma, widths)
    condition = Condition(
        "reach beyond that of the nearest example",
        found.combination(terms, beyond=True),
        _FURTHER,
        unit="pixels",
    )
    at = "; ".join(
        f"{found.mean(cells).value * width / 2:.2f} ({found.null(cells) * width / 2:.2f}) at W = "
        f"{width:g}"
        for width, (_, cells) in zip(widths, terms, strict=True)
    )
    reach = shown(found.combination(terms), "pixels")
    text = f"Reach at sigma = {sigma:g} {reach}, by width (nearest example): {at}."
    return decide([condition], text)


def _follows_sigma(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    sigmas = found.values(_SIGMA)
    if len(sigmas) < 2:
        raise NotMeasuredError("The reach was measured for one sigma alone.")
    widths = _widths(found, sigmas)
    outside = Accuracies(final(table), "accuracy_in_distribution", _SIGMA)
    learned = {sigma: outside.mean({_SIGMA: sigma}).value for sigma in sigmas}
    reaches = {sigma: _reach(found, sigma, widths) for sigma in sigmas}
    at = ", ".join(
        f"{shown(found.combination(terms, beyond=True), 'pixels')} at {sigma:g} ("
        f"{100 * learned[sigma]:.0f} % outside)"
        for sigma, terms in reaches.items()
    )
    text = f"Reach beyond the nearest example, by sigma, and accuracy outside of the lesion: {at}."
    if min(learned.values()) < _LEARNED:
        return Outcome("not resolvable", f"Some bumps are not learned; train longer. {text}")
    first, last = reaches[sigmas[0]], reaches[sigmas[-1]]
    gain = found.combination([*last, *((-weight, cells) for weight, cells in first)], beyond=True)
    what = f"reach at sigma = {sigmas[-1]:g} less that at {sigmas[0]:g}"
    return decide([Condition(what, gain, _FURTHER, unit="pixels")], text)


CLAIMS: Sequence[Claim] = (
    Claim(
        "Accuracy inside a lesion of the labels falls with its width.",
        "[F] Fig. 11b",
        f"of lesions of at least {_WIDE:g} pixels, accuracy more than 20 points higher in the "
        "narrowest than in the widest, and on average more than 5 points above the null model, "
        "whose accuracy falls as well",
        NEAREST,
        _falls,
    ),
    Claim(
        "Models interpolate: they are right further inside a lesion than copying is.",
        "the reach of interpolation (our question)",
        f"reach, mean over the lesions of at least {_WIDE:g} pixels, more than {_FURTHER:g} pixels "
        "above that of the null model",
        NEAREST,
        _beyond,
        ours=True,
    ),
    Claim(
        "Wider bumps are interpolated further.",
        "the reach of interpolation (our question)",
        f"reach beyond the null model's more than {_FURTHER:g} pixels larger for the widest bumps "
        "than for the narrowest, with at least 90 % accuracy outside of the lesion",
        NEAREST,
        _follows_sigma,
        ours=True,
    ),
)
