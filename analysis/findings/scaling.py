"""Examples needed for 60 % accuracy against N ([F] Fig. 5)."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._claims import chosen, measured, needed, outcome, single
from analysis.scaling import exponents
from analysis.scaling.advantage import advantages_table, null_crossings
from analysis.scaling.paired import paired_test
from analysis.scaling.predictions import prediction_exponents_table, predictions_table
from analysis.tables.selection import final

_ALONE, _STRIPES, _THINNED = "bump", "bump+stripes", "bump+thinned-stripes"

_LEVEL = 0.6

# Widest interval of an exponent that still allows a verdict.
_WIDE = 1.0

_P_VALUE = 0.05
_FEWEST_BLOCKS = 6  # with five, the smallest possible p-value is 2 / 2^5 = 0.0625


def _crossings(
    table: pd.DataFrame, family: str, count: exponents.Count
) -> list[exponents.SizeCrossing]:
    rows = measured(final(table), "accuracy", "ceiling", *exponents.COUNTS)
    found = exponents.measure_crossings(chosen(rows, "data.family", family))
    return [one for one in found if one.count == count]


def _round(odds: float) -> str:
    """Format odds of at least 1 with one digit: `9`, `200`."""
    return "over 1000" if odds > 1000 else f"{float(f'{odds:.1g}'):.0f}"


def _fitted(fit: exponents.Exponent) -> str:
    """Format a fit with its interval.

    Raises:
        NotMeasuredError: The fit has no interval.
    """
    if fit.value is None or fit.low is None or fit.high is None or fit.odds is None:
        raise NotMeasuredError(f"No fit: {fit.reason}.")
    remark = f" ({fit.reason})" if fit.reason else ""
    odds = f"{_round(fit.odds)} to 1" if fit.odds >= 1 else f"1 to {_round(1 / fit.odds)}"
    return (
        f"{fit.value:.2f}, 95 % interval {fit.low:.2f} to {fit.high:.2f}{remark}; odds of 2 "
        f"against 1: {odds}"
    )


def _exponent(table: pd.DataFrame, family: str, count: exponents.Count, power: int) -> Outcome:
    """Judge whether the interval of an exponent contains one power only."""
    crossings = _crossings(table, family, count)
    fit = exponents.fit_exponent(crossings)
    sizes = ", ".join(str(c.size) for c in crossings if c.crossing.value is not None)
    text = f"Exponent {_fitted(fit)}, from N = {sizes}."
    assert fit.low is not None
    assert fit.high is not None
    within = {p: fit.low <= p <= fit.high for p in (1, 2)}
    return outcome(text, shown=within[power] and not within[3 - power])


def _fewer(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), "accuracy")
    found = paired_test(rows, _ALONE, _STRIPES)
    if found is None:
        raise NotMeasuredError("No trials with and without stripes agree in N, lambda and seed.")
    alone, both = (
        {c.size: needed(c.crossing)[1] for c in _crossings(table, family, "samples_2d")}
        for family in (_ALONE, _STRIPES)
    )
    sizes = sorted(alone.keys() & both.keys())
    text = (
        f"{100 * found.difference:+.1f} points with stripes in {found.pairs} pairs, better in "
        f"{found.better}, p = {found.p_value:.2g}. 2D examples at 60 %: "
        + "; ".join(f"N = {n}: {alone[n]} alone, {both[n]} with stripes" for n in sizes)
        + "."
    )
    if found.blocks < _FEWEST_BLOCKS:
        reason = f"{found.blocks} combinations of N and seed are too few for a test."
        return Outcome("not reachable", f"{reason} {text}")
    return outcome(text, shown=found.difference > 0 and found.p_value < _P_VALUE)


def _percolation(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), "accuracy")
    spacing, sigma = single(rows, "data.spacing"), single(rows, "data.sigma")
    if not isinstance(sigma, float):
        raise NotMeasuredError("Percolation is simulated for round bumps only.")
    crossings = _crossings(table, _ALONE, "samples_2d")
    fit = exponents.fit_exponent(crossings)
    measured_text = _fitted(fit)
    assert fit.low is not None
    assert fit.high is not None
    sizes = [c.size for c in crossings if c.crossing.value is not None]
    predicted = predictions_table(
        sizes, spacing=spacing, sigma=sigma, thresholds=(0.05, 0.5), realisations=400
    )
    simulated = prediction_exponents_table(predicted)["exponent"].to_list()
    text = (
        f"Measured {measured_text}; simulated {simulated[0]:.2f} at an overlap of 0.05, "
        f"{simulated[1]:.2f} at 0.5."
    )
    if fit.high - fit.low > _WIDE:
        return Outcome("not reachable", f"The interval is too wide to tell. {text}")
    return outcome(text, shown=fit.low <= simulated[0] <= fit.high)


def _beyond(table: pd.DataFrame, family: str) -> Outcome:
    """Judge whether fewer examples are needed than by drawing the nearest one."""
    crossings = _crossings(table, family, "samples_2d")
    nulls = null_crossings(final(table), _LEVEL)
    ratios = advantages_table(crossings, nulls)
    if ratios.empty:
        raise NotMeasuredError("No N has a crossing of the model and of the null model.")
    mean = ratios[ratios["size"] == 0].iloc[0]
    at = "; ".join(
        f"N = {row.size}: {row.null:.0f} by drawing the nearest one, {row.ratio:.1f} times as many "
        "as measured"
        for row in ratios[ratios["size"] > 0].itertuples()
    )
    text = (
        f"{mean['ratio']:.1f} times fewer, 95 % interval {mean['low']:.1f} to {mean['high']:.1f}, "
        f"mean over N. {at}."
    )
    return outcome(text, shown=bool(mean["low"] > 1))


def _grows(
    text: str,
    source: str,
    family: str,
    count: exponents.Count,
    power: Literal[1, 2],
    *,
    ours: bool = False,
) -> Claim:
    """Return the claim that the examples needed grow as a power of N."""
    rule = f"the 95 % interval of the exponent contains {power} and not {3 - power}"
    judge = partial(_exponent, family=family, count=count, power=power)
    return Claim(text, source, rule, judge, ours)


CLAIMS: Sequence[Claim] = (
    _grows(
        "With bumps alone, the examples needed for 60 % accuracy grow as N squared.",
        "[F] Fig. 5c",
        _ALONE,
        "samples_2d",
        2,
    ),
    _grows(
        "Beside all stripes, the bumps needed for 60 % accuracy grow as N.",
        "[F] Fig. 5c (judging the bumps is our reading: the stripes number 24 N by construction)",
        _STRIPES,
        "samples_2d",
        1,
        ours=True,
    ),
    _grows(
        "Of a mixture of bumps and stripes, the examples needed for 60 % accuracy grow as N.",
        "[F] Fig. 5c (thinning the whole mixture is the other reading)",
        _THINNED,
        "samples_total",
        1,
        ours=True,
    ),
    Claim(
        "With stripes, fewer 2D examples are needed.",
        "[F] Fig. 5a, b",
        "more accurate with stripes in trials with the same N, lambda and seed, with p < 0.05 by "
        "swapping the trials of each N and seed; not reachable with fewer than six of these",
        _fewer,
    ),
    Claim(
        "Percolation predicts the exponent of the examples needed.",
        "[F] Figs 5, 6 (comparing exponents is our test)",
        "the exponent simulated at an overlap threshold of 0.05 lies in the measured 95 % "
        "interval; not reachable if the interval is wider than 1",
        _percolation,
        ours=True,
    ),
    *(
        Claim(
            f"{text}, fewer examples are needed than by drawing the nearest one.",
            "a null model (our question)",
            "the 95 % interval of the ratio, as a mean over N, is above 1",
            partial(_beyond, family=family),
            ours=True,
        )
        for text, family in (("With bumps alone", _ALONE), ("With stripes", _STRIPES))
    ),
)
