"""Examples needed for 60 % accuracy against N ([F] Fig. 5)."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.tables import LEVEL, NEAREST, chosen, measured, needed, single
from analysis.scaling import exponents
from analysis.scaling.advantage import advantages_table, null_crossings
from analysis.scaling.predictions import prediction_exponents_table, predictions_table
from analysis.statistics.estimate import Estimate
from analysis.statistics.paired import paired_test
from analysis.tables.selection import final

_ALONE, _STRIPES, _THINNED = "bump", "bump+stripes", "bump+thinned-stripes"


_MARGIN = 0.5  # an exponent within it of 2 excludes 1

_TIMES = 1.25  # times fewer examples than the null model that count

_FEWEST_BUMPS = 3  # two bumps are the fewest that can be one cluster of more than a half
_FEWEST_SIZES = 3

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


def _seeds(table: pd.DataFrame, family: str) -> int:
    rows = final(table)
    return int(rows.loc[rows["data.family"] == family, "seed"].nunique())


def _advantage(table: pd.DataFrame, family: str, count: exponents.Count) -> tuple[Condition, str]:
    """Return the condition that fewer examples are needed than by drawing the nearest one.

    Raises:
        NotMeasuredError: No N has a crossing of the model and of the null model.
    """
    ratios = advantages_table(_crossings(table, family, count), null_crossings(final(table), LEVEL))
    if ratios.empty:
        raise NotMeasuredError("No N has a crossing of the model and of the null model.")
    mean = ratios[ratios["size"] == 0].iloc[0]
    found = Estimate(mean["ratio"], mean["low"], mean["high"], _seeds(table, family))
    at = "; ".join(
        f"N = {row.size}: {row.null:.0f}, {row.ratio:.1f} times as many as measured"
        for row in ratios[ratios["size"] > 0].itertuples()
    )
    text = f"Examples needed by drawing the nearest one: {at}."
    return Condition("times fewer than by drawing the nearest one", found, _TIMES, unit=""), text


def _exponent(table: pd.DataFrame, family: str, count: exponents.Count, power: int) -> Outcome:
    """Judge whether an exponent is near a power."""
    crossings = _crossings(table, family, count)
    fit = exponents.fit_exponent(crossings)
    sizes = ", ".join(str(c.size) for c in crossings if c.crossing.value is not None)
    text = f"Exponent {_fitted(fit)}, from N = {sizes}."
    assert fit.value is not None
    assert fit.low is not None
    assert fit.high is not None
    beyond, more = _advantage(table, family, "samples_2d")
    found = Estimate(fit.value, fit.low, fit.high, _seeds(table, family))
    return decide([*_close(found, power), beyond], text, more)


def _close(exponent: Estimate, expected: float) -> list[Condition]:
    """Return the conditions that an exponent is near an expected one (an equivalence test)."""
    takes = "more values of N, since crossings scatter about the law whatever the seeds"
    return [
        Condition("exponent", exponent, expected - _MARGIN, "above", "", takes),
        Condition("exponent", exponent, expected + _MARGIN, "below", "", takes),
    ]


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
        return Outcome("not resolvable", f"{reason} It takes {_FEWEST_BLOCKS}. {text}")
    if found.p_value < _P_VALUE:
        return Outcome("shown" if found.difference > 0 else "not shown", text)
    return Outcome("not shown" if found.difference <= 0 else "not resolvable", text)


def _percolation(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), "accuracy")
    spacing, sigma = single(rows, "data.spacing"), single(rows, "data.sigma")
    if not isinstance(sigma, float):
        raise NotMeasuredError("Percolation is simulated for round bumps only.")
    crossings = [c for c in _crossings(table, _ALONE, "samples_2d") if c.crossing.value is not None]
    predicted = predictions_table(
        [c.size for c in crossings],
        spacing=spacing,
        sigma=sigma,
        thresholds=(0.05, 0.5),
        realisations=400,
    )
    lowest = predicted.groupby("size")["value"].min()
    sizes = [int(size) for size in lowest.index[lowest >= _FEWEST_BUMPS]]
    if len(sizes) < _FEWEST_SIZES:
        few = ", ".join(f"{value:.1f} at N = {size}" for size, value in lowest.items())
        return Outcome(
            "not resolvable",
            f"At an overlap of 0.05, percolation predicts {few}. Below {_FEWEST_BUMPS} bumps it "
            f"sets no threshold; it takes {_FEWEST_SIZES} larger N.",
        )
    predicted = predicted[predicted["size"].isin(sizes)]
    fit = exponents.fit_exponent([c for c in crossings if c.size in sizes])
    measured_text = f"{_fitted(fit)}, from N = {', '.join(map(str, sizes))}"
    assert fit.value is not None
    assert fit.low is not None
    assert fit.high is not None
    simulated = prediction_exponents_table(predicted)["exponent"].to_list()
    text = (
        f"Measured {measured_text}; simulated {simulated[0]:.2f} at an overlap of 0.05, "
        f"{simulated[1]:.2f} at 0.5."
    )
    beyond, more = _advantage(table, _ALONE, "samples_2d")
    found = Estimate(fit.value, fit.low, fit.high, _seeds(table, _ALONE))
    return decide([*_close(found, simulated[0]), beyond], text, more)


def _beyond(table: pd.DataFrame, family: str) -> Outcome:
    """Judge whether fewer examples are needed than by drawing the nearest one."""
    condition, text = _advantage(table, family, "samples_2d")
    return decide([condition], text)


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
    rule = (
        f"the exponent differs from {power} by less than {_MARGIN:g}, and more than {_TIMES} times "
        "fewer bumps are needed than by the null model, which grows like N squared"
    )
    judge = partial(_exponent, family=family, count=count, power=power)
    return Claim(text, source, rule, NEAREST, judge, ours)


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
        "swapping the trials of each N and seed; not resolvable with fewer than six of these. The "
        "null model has the same bumps in both, and no difference",
        NEAREST,
        _fewer,
    ),
    Claim(
        "Percolation predicts the exponent of the examples needed.",
        "[F] Figs 5, 6 (comparing exponents is our test)",
        "the exponent differs from that simulated at an overlap threshold of 0.05 by less than "
        f"{_MARGIN:g} over the N at which {_FEWEST_BUMPS} bumps or more are predicted, and more "
        f"than {_TIMES} times fewer bumps are needed than by the null model",
        NEAREST,
        _percolation,
        ours=True,
    ),
    *(
        Claim(
            f"{text}, fewer examples are needed than by drawing the nearest one.",
            "a null model (our question)",
            f"more than {_TIMES} times fewer, mean over N",
            NEAREST,
            partial(_beyond, family=family),
            ours=True,
        )
        for text, family in (("With bumps alone", _ALONE), ("With stripes", _STRIPES))
    ),
)
