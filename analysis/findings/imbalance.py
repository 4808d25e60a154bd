"""A lattice that is coarser along y than along x ([W] Fig. 5)."""

from collections.abc import Sequence

import pandas as pd

from analysis import names
from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._numbers import POINTS, measured, outcome
from analysis.tables import final


def _ratio(rows: pd.DataFrame) -> "pd.Series[float]":
    """How much coarser the lattice is along y, of each row."""
    return rows["data.spacing"].map(lambda d: d[1] / d[0] if isinstance(d, tuple) else 1.0)


def _imbalanced(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of lattices that are coarser along y.

    Raises:
        NotMeasuredError: There is none.
    """
    found = rows[_ratio(rows) > 1]
    if found.empty:
        raise NotMeasuredError("No trial has a coarser lattice along y.")
    return found


def _together(table: pd.DataFrame) -> Outcome:
    rows = _imbalanced(measured(table, "accuracy_x", "accuracy_y"))
    accuracy = rows["accuracy_x"].corr(rows["accuracy_y"])
    fits = rows.dropna(subset=["layer4/r_squared_x", "layer4/r_squared_y"])
    r_squared = fits["layer4/r_squared_x"].corr(fits["layer4/r_squared_y"])
    text = (
        f"Correlation of x and y over all trials and steps of imbalanced lattices: {accuracy:.2f} "
        f"of the accuracies, {r_squared:.2f} of R-squared."
    )
    return outcome(text, shown=bool(min(accuracy, r_squared) >= 0.8))


def _both_suffer(table: pd.DataFrame) -> Outcome:
    rows = measured(table, "accuracy_x", "accuracy_y")
    rows = rows[rows["step"] > 0].assign(ratio=_ratio)
    means = rows.groupby("ratio")[["accuracy_x", "accuracy_y"]].mean()
    ends = final(rows).groupby("ratio")[["accuracy_x", "accuracy_y"]].mean()
    if len(means) < 2:
        raise NotMeasuredError("Lattices of one ratio alone are there.")
    lost = means.iloc[0] - means.iloc[-1]
    parts = [
        f"{names.bare(ratio)} times as coarse along y: x {100 * over.iloc[0]:.0f} %, y "
        f"{100 * over.iloc[1]:.0f} % over training, {100 * end.iloc[0]:.0f} and "
        f"{100 * end.iloc[1]:.0f} % at the end"
        for (ratio, over), (_, end) in zip(means.iterrows(), ends.iterrows(), strict=True)
    ]
    return outcome("; ".join(parts) + ".", shown=bool((lost >= POINTS / 2).all()))


def _coarse_ahead(table: pd.DataFrame) -> Outcome:
    rows = _imbalanced(measured(table, "accuracy_x", "accuracy_y"))
    ahead = (rows["accuracy_y"] - rows["accuracy_x"]).groupby(_ratio(rows)).mean()
    text = ", ".join(f"{100 * a:+.0f} points at a ratio of {r:g}" for r, a in ahead.items())
    return outcome(f"y ahead of x over training: {text}.", shown=bool((ahead > 0).all()))


CLAIMS: Sequence[Claim] = (
    Claim(
        "x and y are learnt together and not apart, however unequal their lattices.",
        "[W] Fig. 5",
        "correlation of both accuracies, and of both R-squared, at least 0.8",
        _together,
    ),
    Claim(
        "A coarser lattice along y hurts x as well.",
        "[W] section 3",
        "mean over training of both accuracies lower by 5 points at the largest imbalance",
        _both_suffer,
    ),
    Claim(
        "y, whose lattice is coarser, is placed more accurately than x.",
        "[W] section 3",
        "mean accuracy over training higher for y at every imbalance",
        _coarse_ahead,
    ),
)
