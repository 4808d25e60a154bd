"""Examples needed for 60 % accuracy against N ([F] Fig. 5)."""

import math
from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._claims import chosen, measured, needed, outcome, single
from analysis.scaling import exponents
from analysis.scaling.predictions import prediction_exponents_table, predictions_table
from analysis.tables.selection import final

_STRIPES = "bump+stripes"

# Widest interval of an exponent that still allows a verdict.
_WIDE = 1.0


def _crossings(table: pd.DataFrame, family: str) -> list[exponents.SizeCrossing]:
    rows = measured(final(table), "accuracy", "ceiling", *exponents.COUNTS)
    return exponents.measure_crossings(chosen(rows, "data.family", family))


def _fitted(fit: exponents.Exponent) -> str:
    """Format a fit with its interval.

    Raises:
        NotMeasuredError: The fit has no interval.
    """
    if fit.value is None or fit.low is None or fit.high is None:
        raise NotMeasuredError(f"No fit: {fit.reason}.")
    remark = f" ({fit.reason})" if fit.reason else ""
    return f"{fit.value:.2f}, 95 % interval {fit.low:.2f} to {fit.high:.2f}{remark}"


def _exponent(table: pd.DataFrame, family: str, power: int) -> Outcome:
    """Judge whether the interval of the exponent of all examples contains one power only."""
    crossings = [c for c in _crossings(table, family) if c.count == "samples_total"]
    fit = exponents.fit_exponent(crossings)
    sizes = ", ".join(str(c.size) for c in crossings)
    text = f"Exponent {_fitted(fit)}, from N = {sizes}."
    assert fit.low is not None
    assert fit.high is not None
    within = {p: fit.low <= p <= fit.high for p in (1, 2)}
    return outcome(text, shown=within[power] and not within[3 - power])


def _fewer(table: pd.DataFrame) -> Outcome:
    alone, both = (
        {c.size: needed(c.crossing) for c in _crossings(table, family) if c.count == "samples_2d"}
        for family in ("bump", _STRIPES)
    )
    sizes = sorted(alone.keys() & both.keys())
    if not sizes:
        raise NotMeasuredError("No N was measured both with and without stripes.")
    text = "; ".join(f"N = {n}: {alone[n][1]} alone, {both[n][1]} with stripes" for n in sizes)
    if all(alone[n][0] in (0, math.inf) and alone[n][0] == both[n][0] for n in sizes):
        return Outcome("not reachable", f"Both are outside the measured range: {text}.")
    fewer = all(both[n][0] < alone[n][0] for n in sizes)
    return outcome(f"2D examples at 60 %: {text}.", shown=fewer)


def _percolation(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), "accuracy")
    spacing, sigma = single(rows, "data.spacing"), single(rows, "data.sigma")
    if not isinstance(sigma, float):
        raise NotMeasuredError("Percolation is simulated for round bumps only.")
    crossings = [c for c in _crossings(table, "bump") if c.count == "samples_2d"]
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


CLAIMS: Sequence[Claim] = (
    Claim(
        "With bumps alone, the examples needed for 60 % accuracy grow as N squared.",
        "[F] Fig. 5c",
        "the 95 % interval of the exponent contains 2 and not 1",
        partial(_exponent, family="bump", power=2),
    ),
    Claim(
        "With bumps and stripes, the examples needed for 60 % accuracy grow as N.",
        "[F] Fig. 5c",
        "the 95 % interval of the exponent contains 1 and not 2",
        partial(_exponent, family=_STRIPES, power=1),
    ),
    Claim(
        "With stripes, fewer 2D examples are needed.",
        "[F] Fig. 5a, b",
        "fewer 2D examples at 60 % accuracy at every N",
        _fewer,
    ),
    Claim(
        "Percolation predicts the exponent of the examples needed.",
        "[F] Figs 5, 6 (comparing exponents is our test)",
        "the exponent simulated at an overlap threshold of 0.05 lies in the measured 95 % "
        "interval; not reachable if the interval is wider than 1",
        _percolation,
    ),
)
