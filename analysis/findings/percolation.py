"""Accuracy against the fraction of the lattice kept, compared with percolation ([F] Figs 6, 14)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pandas as pd

from analysis.findings import Claim, Outcome
from analysis.findings._claims import POINTS, by, listed, measured, needed, outcome, single
from analysis.scaling.predictions import predictions_table
from analysis.scaling.thresholds import crossing
from analysis.tables.selection import final

_LEVEL = 0.6
_SHARE = "data.subsample"
_THRESHOLDS = (0.005, 0.05, 0.5)


def _learned(table: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """Yield each sigma that is learned from the whole lattice, with its finished trials."""
    for sigma, rows in measured(final(table), "accuracy").groupby("data.sigma"):
        if by(rows, _SHARE).iloc[-1] >= _LEVEL:
            yield float(str(sigma)), rows


def _not_learned(table: pd.DataFrame) -> str:
    learned = {sigma for sigma, _ in _learned(table)}
    rest = sorted(set(map(float, final(table)["data.sigma"])) - learned)
    text = f" Not learned from the whole lattice: sigma = {', '.join(map(str, rest))}."
    return text if rest else ""


def _rises(table: pd.DataFrame) -> Outcome:
    curves = {sigma: by(rows, _SHARE, least=2) for sigma, rows in _learned(table)}
    if not curves:
        return Outcome("not reachable", "No sigma is learned." + _not_learned(table))
    text = "; ".join(
        f"sigma = {sigma:g}: {listed(means.iloc[[0, -1]], _SHARE)}"
        for sigma, means in curves.items()
    )
    rise = all(means.iloc[-1] - means.iloc[0] >= 2 * POINTS for means in curves.values())
    return outcome(f"{text}.{_not_learned(table)}", shown=rise)


def _needed(rows: pd.DataFrame) -> tuple[float, str]:
    """Return the number of examples at which accuracy crosses the level, and its text."""
    rows = measured(rows, "samples_2d")
    return needed(crossing(rows["samples_2d"], rows["accuracy"], level=_LEVEL))


def _earlier(table: pd.DataFrame) -> Outcome:
    found = {sigma: _needed(rows) for sigma, rows in sorted(_learned(table))}
    if len(found) < 2:
        return Outcome("not reachable", "Fewer than two sigmas are learned." + _not_learned(table))
    text = ", ".join(f"{words} at sigma = {sigma:g}" for sigma, (_, words) in found.items())
    text = f"Examples at 60 % accuracy: {text}.{_not_learned(table)}"
    numbers = [number for number, _ in found.values()]
    if all(number == 0 for number in numbers):
        return Outcome("not reachable", f"Each sigma is above 60 % at the smallest lambda. {text}")
    return outcome(text, shown=all(b < a for a, b in pairwise(numbers)))


def _onset(table: pd.DataFrame) -> Outcome:
    rows = final(table)
    size, spacing = single(rows, "data.size"), single(rows, "data.spacing")
    assert isinstance(size, float)
    texts, within = [], []
    for sigma, trials in _learned(table):
        number, words = _needed(trials)
        predicted = predictions_table(
            [int(size)], spacing=spacing, sigma=sigma, thresholds=_THRESHOLDS, realisations=400
        )["value"]
        numbers = ", ".join(f"{p:.1f}" for p in predicted)
        texts.append(f"sigma = {sigma:g}: measured {words}, simulated {numbers}")
        if number > 0:  # 0 is only a bound: the crossing is below the smallest lambda
            within.append([number / 2 <= p <= 2 * number for p in predicted])
    text = (
        f"Examples at 60 % accuracy, and simulated at overlap thresholds {_THRESHOLDS}: "
        f"{'; '.join(texts)}.{_not_learned(table)}"
    )
    if len(within) < 2:
        return Outcome("not reachable", f"Fewer than two sigmas cross 60 %. {text}")
    # One threshold must fit all sigmas.
    return outcome(text, shown=any(all(fits) for fits in zip(*within, strict=True)))


def _meet(table: pd.DataFrame) -> Outcome:
    rows = measured(final(table), "train_loss", "validation_loss")
    rows = rows.assign(gap=rows["validation_loss"] / rows["train_loss"] - 1)
    gaps = by(rows, _SHARE, "gap", least=2)
    text = f"Excess of validation loss over training loss: {listed(gaps, _SHARE)}."
    return outcome(text, shown=bool(gaps.iloc[0] >= 0.2 and abs(gaps.iloc[-1]) < 0.05))


CLAIMS: Sequence[Claim] = (
    Claim(
        "Accuracy rises with the share of the lattice that is kept.",
        "[F] Fig. 6e",
        "at least 20 points higher at the largest lambda than at the smallest, for every sigma "
        "that is learned",
        _rises,
    ),
    Claim(
        "Accuracy rises earlier for wider bumps.",
        "[F] Fig. 6e",
        "fewer examples at 60 % accuracy for each larger sigma that is learned",
        _earlier,
    ),
    Claim(
        "Accuracy rises where overlapping bumps percolate.",
        "[F] Fig. 6c, e",
        "there is one overlap threshold at which the largest cluster holds 60 % of the bumps "
        "within a factor of two of the examples at 60 % accuracy, for every sigma that is learned "
        "and crosses 60 %",
        _onset,
    ),
    Claim(
        "Training and validation loss converge as lambda grows.",
        "[F] Fig. 14c (our reading)",
        "validation loss at least 20 % above training loss at the smallest lambda, and within 5 % "
        "of it at the largest",
        _meet,
        ours=True,
    ),
)
