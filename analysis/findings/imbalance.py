"""A lattice that is coarser along y than along x ([W] Fig. 5)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._claims import POINTS, finished, measured, outcome
from analysis.tables.selection import final

_LEVEL = 0.6
_ACCURACIES = ("accuracy_x", "accuracy_y")
_FITS = ("layer4/r_squared_x", "layer4/r_squared_y")


def _ratio(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the ratio of the increments along y and x for each row."""
    return rows["data.spacing"].map(lambda d: d[1] / d[0] if isinstance(d, tuple) else 1.0)


def _imbalanced(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows with a coarser lattice along y.

    Raises:
        NotMeasuredError: There is no such row.
    """
    found = rows[_ratio(rows) > 1]
    if found.empty:
        raise NotMeasuredError("No trial has a coarser lattice along y.")
    return found


def _first(curve: "pd.Series[float]") -> float:
    """Return the interpolated step at which a curve first reaches the level, or NaN."""
    steps, values = curve.index.to_numpy(dtype=float), curve.to_numpy(dtype=float)
    reached = np.flatnonzero(values >= _LEVEL)
    if len(reached) == 0:
        return float("nan")
    i = int(reached[0])
    return float(np.interp(_LEVEL, values[i - 1 : i + 1], steps[i - 1 : i + 1]) if i else steps[0])


def _together(table: pd.DataFrame) -> Outcome:
    rows = _imbalanced(measured(finished(table), *_ACCURACIES))
    texts, apart = [], []
    for ratio, trials in rows.groupby(_ratio(rows)):
        curves = trials.groupby("step")[list(_ACCURACIES)].mean().sort_index()
        x, y = (_first(curves[name]) for name in _ACCURACIES)
        apart.append(max(x, y) / max(min(x, y), 1))
        texts.append(f"x {x:.0f} and y {y:.0f} at a ratio of {ratio:g}")
    if np.isnan(apart).all():
        return Outcome("not reachable", "Neither x nor y reaches 60 %.")
    fits = measured(rows, *_FITS)
    together = float(fits[_FITS[0]].corr(fits[_FITS[1]]))
    if np.isnan(together):
        raise NotMeasuredError("R-squared was measured at too few steps.")
    text = f"Steps to 60 %: {'; '.join(texts)}. Correlation of both R-squared: {together:.2f}."
    return outcome(text, shown=all(a <= 1.5 for a in apart) and together >= 0.8)


def _both_suffer(table: pd.DataFrame) -> Outcome:
    rows = measured(finished(table), *_ACCURACIES)
    rows = rows[rows["step"] > 0].assign(ratio=_ratio)
    columns = list(_ACCURACIES)
    means, ends = (r.groupby("ratio")[columns].mean() for r in (rows, final(rows)))
    means = means.loc[means.index.intersection(ends.index)]
    if len(means) < 2 or means.index[0] != 1:
        raise NotMeasuredError("Trials with a balanced or with an imbalanced lattice are missing.")
    lost = means.iloc[0] - means.iloc[-1]
    parts = [
        f"ratio {ratio:g}: x {100 * means.loc[ratio, 'accuracy_x']:.0f} %, y "
        f"{100 * means.loc[ratio, 'accuracy_y']:.0f} % over training, "
        f"{100 * ends.loc[ratio, 'accuracy_x']:.0f} and {100 * ends.loc[ratio, 'accuracy_y']:.0f} "
        "% at the end"
        for ratio in means.index
    ]
    return outcome("; ".join(parts) + ".", shown=bool((lost >= POINTS / 2).all()))


def _coarse_ahead(table: pd.DataFrame) -> Outcome:
    rows = _imbalanced(measured(finished(table), *_ACCURACIES))
    ahead = (rows["accuracy_y"] - rows["accuracy_x"]).groupby(_ratio(rows)).mean()
    text = ", ".join(f"{100 * a:+.0f} points at a ratio of {r:g}" for r, a in ahead.items())
    return outcome(
        f"Mean accuracy of y minus that of x over training: {text}.", shown=bool((ahead > 0).all())
    )


CLAIMS: Sequence[Claim] = (
    Claim(
        "x and y are learned together, not separately, however unequal their lattices are.",
        "[W] section 3, Fig. 5",
        "x and y reach 60 % within a factor of 1.5 in steps at every ratio, and the correlation of "
        "both R-squared is at least 0.8",
        _together,
    ),
    Claim(
        "A coarser lattice along y reduces the accuracy of x as well.",
        "[W] section 3",
        "mean accuracy over training at least 5 points lower at the largest ratio than at 1, for x "
        "and for y",
        _both_suffer,
    ),
    Claim(
        "y, which has the coarser lattice, is more accurate than x.",
        "[W] section 3",
        "mean accuracy over training higher for y at every ratio above 1",
        _coarse_ahead,
    ),
)
