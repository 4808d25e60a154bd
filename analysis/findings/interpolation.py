"""Interpolation across a held-out band of labels, a lesion ([F] Fig. 11).

The *reach* of a model is how far from the edge of the lesion it is right: its accuracy inside times
half of the width, in pixels. Copying the nearest example has a reach, too, since a pixel of error
is allowed. The reach is our definition.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide, shown
from analysis.findings._rules.tables import NEAREST, POINTS
from analysis.statistics.estimate import of_draws
from analysis.tables.selection import final

_WIDTH, _SIGMA = "data.held_out.width", "data.sigma"

_WIDE = 2.0  # pixels; copying fills narrower lesions, whose edges are less than a pixel away
_FURTHER = 0.2  # pixels; least difference of reaches that counts


def _accuracies(table: pd.DataFrame) -> Accuracies:
    rows = final(table)
    if not {_WIDTH, _SIGMA} <= set(rows):
        raise NotMeasuredError(f"The trials lack {_WIDTH} or {_SIGMA}.")
    return Accuracies(rows, "accuracy_out_of_distribution", _WIDTH, _SIGMA)


def _falls(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    widths = found.values(_WIDTH)
    if len(widths) < 2:
        raise NotMeasuredError("Fewer than two widths were measured.")
    narrow, wide = ({_WIDTH: width} for width in (widths[0], widths[-1]))
    conditions = [
        Condition("narrowest less widest", found.difference((wide, narrow)), 2 * POINTS),
        Condition("mean beyond the nearest example", found.mean({}, beyond=True), POINTS / 2),
    ]
    return decide(conditions, f"{found.listed(_WIDTH, widths, {})}.", IN_BRACKETS)


def _reaches(
    found: Accuracies, cells: dict[str, object], *, beyond: bool
) -> tuple[NDArray[np.float64], int]:
    """Draw the reach, mean over the wide lesions, in pixels; and the number of runs behind it."""
    keys = {key.replace(".", "__"): value for key, value in cells.items()}
    widths = [width for width in found.values(_WIDTH, **keys) if width >= _WIDE]
    if not widths:
        raise NotMeasuredError(f"No lesion of at least {_WIDE:g} pixels was measured.")
    places = [{**cells, _WIDTH: width} for width in widths]
    drawn = [
        found.draws(place, beyond=beyond) * width / 2
        for place, width in zip(places, widths, strict=True)
    ]
    return np.mean(drawn, axis=0), min(found.runs(place) for place in places)


def _beyond(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    reach = of_draws(*_reaches(found, {}, beyond=False))
    condition = Condition(
        "reach beyond that of the nearest example",
        of_draws(*_reaches(found, {}, beyond=True)),
        _FURTHER,
        unit="pixels",
    )
    widths = [width for width in found.values(_WIDTH) if width >= _WIDE]
    at = "; ".join(
        f"{found.mean({_WIDTH: w}).value * w / 2:.2f} ({found.null({_WIDTH: w}) * w / 2:.2f}) at "
        f"W = {w:g}"
        for w in widths
    )
    return decide([condition], f"Reach {shown(reach, 'pixels')}, by width: {at}.", IN_BRACKETS)


def _follows_sigma(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    sigmas = found.values(_SIGMA)
    if len(sigmas) < 2:
        raise NotMeasuredError("The reach was measured for one sigma alone.")
    drawn = {sigma: _reaches(found, {_SIGMA: sigma}, beyond=True) for sigma in sigmas}
    (first, runs), (last, others) = drawn[sigmas[0]], drawn[sigmas[-1]]
    condition = Condition(
        f"reach at sigma = {sigmas[-1]:g} less that at {sigmas[0]:g}",
        of_draws(last - first, min(runs, others)),
        _FURTHER,
        unit="pixels",
    )
    at = ", ".join(f"{shown(of_draws(*one), 'pixels')} at {s:g}" for s, one in drawn.items())
    return decide([condition], f"Reach beyond the nearest example, by sigma: {at}.")


CLAIMS: Sequence[Claim] = (
    Claim(
        "Accuracy inside a lesion of the labels falls with its width.",
        "[F] Fig. 11b",
        "accuracy in the narrowest lesion more than 20 points higher than in the widest, and on "
        "average over the widths more than 5 points above the null model",
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
        "than for the narrowest",
        NEAREST,
        _follows_sigma,
        ours=True,
    ),
)
