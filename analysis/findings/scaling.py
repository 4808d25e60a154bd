"""Examples needed for 60 % accuracy against N ([F] Fig. 5)."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis import scaling
from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._numbers import chosen, measured, outcome
from analysis.tables import final, single, where
from analysis.theory import prediction_exponents_table, predictions_table

_STRIPES = "bump+stripes"


def _crossings(table: pd.DataFrame, family: str) -> list[scaling.SizeCrossing]:
    rows = measured(final(table), "accuracy")
    return scaling.measure_crossings(chosen(rows, "data.family", family))


def _exponent(table: pd.DataFrame, family: str, power: int) -> Outcome:
    """Whether the interval of the exponent of all examples holds one power and not the other."""
    fits = scaling.exponents_table(_crossings(table, family))
    row = where(fits, count="samples_total").iloc[0]
    if row["reason"]:
        return Outcome("not reachable", f"No fit: {row['reason']}.")
    text = (
        f"Exponent {row['exponent']:.2f}, 95 % interval {row['low']:.2f} to {row['high']:.2f}, "
        f"from N = {', '.join(str(row['sizes']).split())}."
    )
    within = {p: row["low"] <= p <= row["high"] for p in (1, 2)}
    return outcome(text, shown=bool(within[power] and not within[3 - power]))


def _fewer(table: pd.DataFrame) -> Outcome:
    found = {
        family: {
            c.size: c.crossing.value
            for c in _crossings(table, family)
            if c.count == "samples_2d" and c.crossing.value is not None
        }
        for family in ("bump", _STRIPES)
    }
    sizes = sorted(found["bump"].keys() & found[_STRIPES].keys())
    if not sizes:
        return Outcome("not reachable", "No N at which both reach 60 %.")
    text = ", ".join(
        f"N = {n}: {found['bump'][n]:.1f} alone, {found[_STRIPES][n]:.1f} with stripes"
        for n in sizes
    )
    return outcome(
        f"2D examples at 60 %: {text}.",
        shown=all(found[_STRIPES][n] < found["bump"][n] for n in sizes),
    )


def _percolation(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), "accuracy")
    sizes = sorted(int(n) for n in rows["data.size"].unique())
    spacing, sigma = single(rows, "data.spacing"), single(rows, "data.sigma")
    if not isinstance(sigma, float):
        raise NotMeasuredError("Percolation is simulated for round bumps alone.")
    crossings = [c for c in _crossings(table, "bump") if c.count == "samples_2d"]
    fit = scaling.fit_exponent(crossings)
    predicted = predictions_table(sizes, spacing=spacing, sigma=sigma, thresholds=(0.05, 0.5))
    exponents = prediction_exponents_table(predicted)
    if fit.value is None or fit.low is None or fit.high is None:
        return Outcome("not reachable", f"No fit: {fit.reason}.")
    text = "; ".join(
        f"overlap above {row.threshold:g}: {row.exponent:.2f}" for row in exponents.itertuples()
    )
    inside = [fit.low <= e <= fit.high for e in exponents["exponent"]]
    return outcome(
        f"Measured {fit.value:.2f} ({fit.low:.2f} to {fit.high:.2f}); simulated, {text}.",
        shown=bool(inside[0]),
    )


CLAIMS: Sequence[Claim] = (
    Claim(
        "With bumps alone the examples needed for 60 % grow like N squared.",
        "[F] Fig. 5c",
        "the exponent's 95 % interval holds 2 and not 1",
        partial(_exponent, family="bump", power=2),
    ),
    Claim(
        "With bumps and stripes they grow like N.",
        "[F] Fig. 5c",
        "the interval holds 1 and not 2",
        partial(_exponent, family=_STRIPES, power=1),
    ),
    Claim(
        "With stripes fewer 2D examples are needed.",
        "[F] Fig. 5a, b",
        "fewer at every N",
        _fewer,
    ),
    Claim(
        "Percolation predicts how the examples needed grow.",
        "[F] Figs 5, 6; that they agree in the exponent is our test",
        "the exponent simulated at an overlap of 0.05 lies in the measured interval",
        _percolation,
    ),
)
