"""Accuracy against the fraction of the lattice kept, compared with percolation ([F] Figs 6, 14)."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide, shown
from analysis.findings._rules.tables import (
    LEVEL,
    NEAREST,
    POINTS,
    by,
    listed,
    measured,
    needed,
    single,
)
from analysis.plotting import axis_labels
from analysis.scaling.predictions import predictions_table
from analysis.scaling.sigma_dependence import FEWEST, sigma_test
from analysis.scaling.thresholds import Crossing, crossing
from analysis.statistics.cell_means import Cells
from analysis.statistics.estimate import of_mean
from analysis.tables.selection import final

_SIGMA, _SHARE = "data.sigma", "data.subsample"

_LEARNED = 0.95  # below, a curve may cross late for want of training, not of examples

# Overlaps from one in a thousand to one at which the bumps are hardly apart.
_THRESHOLDS = (*np.geomspace(0.001, 0.45, 12).round(4).tolist(), *np.arange(0.5, 0.951, 0.05))


def _accuracies(table: pd.DataFrame) -> Accuracies:
    return Accuracies(final(table), "accuracy", _SIGMA, _SHARE)


def _learned(found: Accuracies) -> tuple[list[float], str]:
    """Return the sigmas that are learned from the whole lattice, and a sentence on the others."""
    learned: list[float] = []
    rest: list[float] = []
    for sigma in found.values(_SIGMA):
        share = found.values(_SHARE, {_SIGMA: sigma})[-1]
        high = found.mean({_SIGMA: sigma, _SHARE: share}).value
        (learned if high >= _LEARNED else rest).append(sigma)
    text = f"Not learned from the whole lattice (95 %): sigma = {', '.join(map(str, rest))}."
    return learned, text if rest else ""


def _rises(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    learned, rest = _learned(found)
    if not learned:
        return Outcome("not resolvable", f"No sigma is learned; train larger models. {rest}")
    conditions, texts = [], []
    for sigma in learned:
        shares = found.values(_SHARE, {_SIGMA: sigma})
        if len(shares) < 2:
            raise NotMeasuredError(f"sigma = {sigma:g} was trained at one lambda alone.")
        few, most = ({_SIGMA: sigma, _SHARE: share} for share in (shares[0], shares[-1]))
        places = [{_SIGMA: sigma, _SHARE: share} for share in shares]
        hard = [place for place in places if found.null(place) < LEVEL] or places[:1]
        beyond = found.combination([(1 / len(hard), place) for place in hard], beyond=True)
        conditions += [
            Condition(f"rise at sigma = {sigma:g}", found.difference((few, most)), 2 * POINTS),
            Condition("mean beyond the nearest example", beyond, POINTS / 2),
        ]
        ends = [found.listed(_SHARE, (shares[0], shares[-1]), {_SIGMA: sigma})]
        texts.append(f"sigma = {sigma:g}: {', '.join(ends)}")
    return decide(conditions, f"{'; '.join(texts)}.", IN_BRACKETS, *filter(None, [rest]))


def _crossings(found: Accuracies, sigmas: Sequence[float]) -> dict[float, Crossing]:
    """Return the crossing of 60 % in examples for each sigma.

    Raises:
        NotMeasuredError: The numbers of examples of a sigma are missing.
    """
    parts = {s: measured(found.rows[found.rows[_SIGMA] == s], "samples_2d") for s in sigmas}
    return {
        sigma: crossing(part["samples_2d"], part["accuracy"], level=LEVEL)
        for sigma, part in parts.items()
    }


def _earlier(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    learned, rest = _learned(found)
    if len(learned) < 2:
        text = f"Fewer than two sigmas are learned; train larger models. {rest}"
        return Outcome("not resolvable", text)
    narrow, wide = learned[0], learned[-1]
    both = set(found.values(_SHARE, {_SIGMA: narrow}))
    shares = sorted(s for s in both & set(found.values(_SHARE, {_SIGMA: wide})) if s < 1)
    if not shares:
        raise NotMeasuredError("The narrowest and the widest bumps have no lambda in common.")
    pairs: list[tuple[Cells, Cells]] = [
        ({_SIGMA: narrow, _SHARE: share}, {_SIGMA: wide, _SHARE: share}) for share in shares
    ]
    condition = Condition(
        f"sigma = {wide:g} less {narrow:g}, mean over {len(pairs)} values of λ",
        found.difference(*pairs),
        0.0,
    )
    at = ", ".join(
        f"{needed(c)[1]} at sigma = {s:g}" for s, c in _crossings(found, learned).items()
    )
    text = f"Examples at 60 % accuracy: {at}."
    return decide([condition], text, *filter(None, [rest]))


def _predicted(found: Accuracies, sigmas: Sequence[float]) -> dict[float, dict[float, float]]:
    """Return the examples at which the largest cluster holds 60 %, by threshold and sigma.

    A lattice whose bumps do not percolate even when all are kept needs all of them.
    """
    rows = found.rows
    size, spacing = single(rows, "data.size"), single(rows, "data.spacing")
    assert isinstance(size, float)
    predicted: dict[float, dict[float, float]] = {t: {} for t in _THRESHOLDS}
    for sigma in sigmas:
        simulated = predictions_table(
            [int(size)], spacing=spacing, sigma=sigma, thresholds=_THRESHOLDS, realisations=400
        )
        values = simulated["value"].fillna(simulated["sites"])
        for threshold, value in zip(simulated["threshold"], values, strict=True):
            predicted[threshold][sigma] = float(value)
    return predicted


def _onset(table: pd.DataFrame) -> Outcome:
    found = _accuracies(table)
    learned, rest = _learned(found)
    every = _crossings(found, learned)
    crossings = {sigma: one for sigma, one in every.items() if one.value is not None}
    left = ", ".join(f"{s:g} ({needed(c)[1]})" for s, c in every.items() if c.value is None)
    notes = [rest, f"Outside the measured lambdas, and not used: sigma = {left}." if left else ""]
    if len(crossings) < FEWEST:
        return Outcome(
            "not resolvable",
            " ".join(
                [
                    f"{len(crossings)} sigmas cross 60 % within the measured lambdas; it takes at "
                    f"least {FEWEST}.",
                    *filter(None, notes),
                ]
            ),
        )
    predicted = _predicted(found, sorted(crossings))
    test = sigma_test(crossings, predicted, int(found.rows.groupby([_SIGMA, _SHARE]).size().min()))
    error = test.percolation
    conditions = [
        Condition("error of coverage less that of percolation", test.advantage, 0.0, unit=""),
        Condition("error of percolation", error, math.log(2), "below", unit=""),
    ]
    near = {t: predicted[t] for t in test.thresholds}
    at = "; ".join(
        f"sigma = {s:g}: measured {needed(c)[1]}, simulated "
        + " and ".join(f"{values[s]:.1f}" for values in near.values())
        for s, c in crossings.items()
    )
    text = (
        f"Errors are root mean squares of log(examples) on the sigmas not fitted; that of coverage "
        f"is {shown(test.coverage, '')}. Examples at 60 %, simulated at the overlaps fitted to one "
        f"half and to the other, {' and '.join(f'{t:g}' for t in near)}: {at}."
    )
    return decide(conditions, text, *filter(None, notes))


def _meet(table: pd.DataFrame) -> Outcome:
    learned, rest = _learned(_accuracies(table))
    rows = measured(final(table), "train_loss", "validation_loss")
    rows = rows[rows[_SIGMA].isin(learned)]
    if rows.empty:
        return Outcome("not resolvable", f"No sigma is learned; train larger models. {rest}")
    rows = rows.assign(gap=rows["validation_loss"] / rows["train_loss"] - 1)
    gaps = by(rows, _SHARE, "gap", least=2)
    # Runs of one seed share examples, so each seed counts once.
    few, most = (rows[rows[_SHARE] == gaps.index[i]].groupby("seed")["gap"].mean() for i in (0, -1))
    low, high = (axis_labels.value(_SHARE, gaps.index[i]) for i in (0, -1))
    conditions = [
        Condition(f"excess at {low}", of_mean(few), 0.2, unit="%"),
        Condition(f"excess at {high}", of_mean(most), 0.05, "below", unit="%"),
        Condition(f"excess at {high}", of_mean(most), -0.1, unit="%"),
    ]
    text = f"Excess of validation loss over training loss: {listed(gaps, _SHARE)}."
    return decide(conditions, text, *filter(None, [rest]))


CLAIMS: Sequence[Claim] = (
    Claim(
        "Accuracy rises with the share of the lattice that is kept.",
        "[F] Fig. 6e",
        "more than 20 points higher at the largest lambda than at the smallest, and more than 5 "
        "points above the null model on average over the values of lambda at which that is below "
        "60 %, for every sigma that is learned",
        NEAREST,
        _rises,
    ),
    Claim(
        "Accuracy rises earlier for wider bumps.",
        "[F] Fig. 6e",
        "accuracy of the widest bumps that are learned above that of the narrowest, mean over the "
        "values of lambda below 1; the null model does not depend on sigma",
        NEAREST,
        _earlier,
    ),
    Claim(
        "Accuracy rises where overlapping bumps percolate.",
        "[F] Fig. 6c, e",
        "an overlap threshold fitted to every second sigma predicts the examples at 60 % accuracy "
        "for the others within a factor of two (root mean square), and better than the null model",
        "coverage: a number of examples that does not depend on sigma, fitted alike",
        _onset,
    ),
    Claim(
        "Training and validation loss converge as lambda grows.",
        "[F] Fig. 14c (our reading)",
        "validation loss more than 20 % above training loss at the smallest lambda, and between "
        "10 % below and 5 % above it at the largest, mean over the sigmas that are learned",
        "both losses alike at every lambda",
        _meet,
        ours=True,
    ),
)
