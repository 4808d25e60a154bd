"""A lattice that is coarser along y than along x ([W] Fig. 5)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.coupling import UNRELATED, excess_correlations
from analysis.findings._rules.tables import CONSTANT, finished, first_step, measured
from analysis.statistics.estimate import of_mean
from analysis.tables.selection import final

_ACCURACIES = ("accuracy_x", "accuracy_y")
_HALVES = ("accuracy_half_pixel_x", "accuracy_half_pixel_y")
_FITS = ("layer4/r_squared_x", "layer4/r_squared_y")
_APART = 1.5


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


def _together(table: pd.DataFrame) -> Outcome:
    rows = _imbalanced(measured(finished(table), *_ACCURACIES, *_FITS))
    conditions, texts, open_trials = [], [], 0
    for ratio, trials in rows.groupby(_ratio(rows)):
        curves = [part.set_index("step").sort_index() for _, part in trials.groupby("key")]
        steps = np.array([[first_step(c[name]) for name in _ACCURACIES] for c in curves])
        if not np.isfinite(steps).all():
            open_trials += int((~np.isfinite(steps)).any(axis=1).sum())
            continue
        found = of_mean(np.log(steps[:, 1] / steps[:, 0])).exp()
        what = f"steps of y over those of x at a ratio of {ratio:g}"
        conditions += [
            Condition(what, found, _APART, "below", unit=""),
            Condition(what, found, 1 / _APART, unit=""),
        ]
        x, y = steps.mean(axis=0)
        texts.append(f"x {x:.0f} and y {y:.0f} at a ratio of {ratio:g}")
    if open_trials:
        return Outcome(
            "not resolvable",
            f"In {open_trials} of {rows['key'].nunique()} trials, x or y is above 60 % at the "
            "first evaluation or never: evaluate earlier, or train longer.",
        )
    own, beyond = excess_correlations(rows, *_FITS, within=_ratio(rows), rank=False)
    conditions += [
        Condition("correlation of both R-squared", of_mean(own), 0.8, unit=""),
        Condition("the same beyond that of different runs", of_mean(beyond), 0.0, unit=""),
    ]
    return decide(conditions, f"Steps to 60 %: {'; '.join(texts)}.")


def _course(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the mean of metrics over training, one row per trial, with `ratio` and `seed`."""
    rows = measured(finished(table), *columns)
    rows = rows[rows["step"] > 0].assign(ratio=_ratio)
    return rows.groupby(["ratio", "seed", "key"])[list(columns)].mean().reset_index()


def _both_suffer(table: pd.DataFrame) -> Outcome:
    means = _course(table, _ACCURACIES)
    ratios = sorted(means["ratio"].unique())
    if len(ratios) < 2 or ratios[0] != 1:
        raise NotMeasuredError("Trials with a balanced or with an imbalanced lattice are missing.")
    balanced, coarsest = (
        means[means["ratio"] == r].set_index("seed")[list(_ACCURACIES)]
        for r in (ratios[0], ratios[-1])
    )
    lost = (balanced - coarsest).dropna()
    if lost.empty:
        raise NotMeasuredError("No seed was trained with both lattices.")
    conditions = [
        Condition(f"loss of {name[-1]} at a ratio of {ratios[-1]:g}", of_mean(lost[name]), 0.05)
        for name in _ACCURACIES
    ]
    ends = final(table).assign(ratio=_ratio).groupby("ratio")[list(_ACCURACIES)].mean()
    over = means.groupby("ratio")[list(_ACCURACIES)].mean()
    parts = [
        f"ratio {r:g}: x {100 * over.loc[r, 'accuracy_x']:.0f} %, y "
        f"{100 * over.loc[r, 'accuracy_y']:.0f} % over training, "
        f"{100 * ends.loc[r, 'accuracy_x']:.0f} and {100 * ends.loc[r, 'accuracy_y']:.0f} % at the "
        "end"
        for r in ratios
        if r in ends.index
    ]
    return decide(conditions, f"{'; '.join(parts).capitalize()}.")


def _coarse_ahead(table: pd.DataFrame) -> Outcome:
    means = _course(table, _HALVES)
    ahead = (means[_HALVES[1]] - means[_HALVES[0]]).groupby([means["ratio"], means["seed"]]).mean()
    by_ratio = ahead.unstack("ratio")
    if 1.0 not in by_ratio or by_ratio.shape[1] < 2:
        raise NotMeasuredError("Trials with a balanced or with an imbalanced lattice are missing.")
    conditions = []
    for ratio in sorted(by_ratio.columns.difference([1.0])):
        found = (by_ratio[ratio] - by_ratio[1.0]).dropna()
        if found.empty:
            raise NotMeasuredError(f"No seed was trained at the ratios 1 and {ratio:g}.")
        what = f"y less x at a ratio of {ratio:g}, less the same at 1"
        conditions.append(Condition(what, of_mean(found), 0.0))
    alike = 100 * by_ratio[1.0].mean()
    return decide(
        conditions,
        f"Within half a pixel, mean over training. At a ratio of 1, y is ahead by {alike:+.1f} "
        "points.",
    )


CLAIMS: Sequence[Claim] = (
    Claim(
        "x and y are learned together, not separately, however unequal their lattices are.",
        "[W] section 3, Fig. 5",
        "x and y reach 60 % within a factor of 1.5 in steps at every ratio, and both R-squared "
        "have a correlation above 0.8 over the steps of a run, which is higher than that of x and "
        "y of different runs with the same lattice",
        UNRELATED,
        _together,
    ),
    Claim(
        "A coarser lattice along y reduces the accuracy of x as well.",
        "[W] section 3",
        "mean accuracy over training more than 5 points lower at the largest ratio than at 1 with "
        "the same seed, for x and for y; the x of the null model does not depend on the lattice of "
        "y",
        CONSTANT,
        _both_suffer,
    ),
    Claim(
        "y, which has the coarser lattice, is more accurate than x.",
        "[W] section 3",
        "accuracy within half a pixel, mean over training, less that of x, higher at every ratio "
        "above 1 than at 1 with the same seed",
        "the balanced lattice, where y and x differ by chance alone",
        _coarse_ahead,
    ),
)
