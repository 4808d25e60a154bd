"""Composition of x and y in regions where they were never seen together ([F] Figs 4, 10)."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis.findings import Claim, Outcome
from analysis.findings._claims import POINTS, by, chosen, listed, measured, outcome, percent
from analysis.tables.selection import final

_PARTS = ("accuracy_arm_vertical", "accuracy_arm_horizontal", "accuracy_intersection")


def _cross(table: pd.DataFrame, *families: str) -> pd.DataFrame:
    """Select finished trials of some data families with a held-out cross."""
    rows = chosen(final(table), "data.held_out.kind", "cross")
    return chosen(rows, "data.family", *families)


def _whole(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the trials that keep the whole lattice."""
    return chosen(rows, "data.subsample", 1.0)


def _parts(rows: pd.DataFrame) -> str:
    """Format the accuracies in distribution, in both arms of the cross and in the intersection."""
    means = [100 * measured(rows, m)[m].mean() for m in ("accuracy_in_distribution", *_PARTS)]
    return "{:.0f}, {:.0f}, {:.0f}, {:.0f} %".format(*means)


def _adds(table: pd.DataFrame, family: str, called: str, what: str, least: float) -> Outcome:
    """Judge whether both kinds of examples are more accurate in the intersection than one kind."""
    alone, both = _whole(_cross(table, family)), _whole(_cross(table, "sos+stripes"))
    metric = "accuracy_intersection"
    first, second = (measured(rows, metric)[metric] for rows in (alone, both))
    text = (
        f"In the intersection: {called} alone {percent(first)}, with {what} {percent(second)}. "
        f"In distribution, in both arms and in the intersection: {called} alone {_parts(alone)}, "
        f"with {what} {_parts(both)}."
    )
    return outcome(text, shown=bool(second.mean() - first.mean() >= least))


def _few_suffice(table: pd.DataFrame) -> Outcome:
    alone = measured(_whole(_cross(table, "stripes")), "accuracy")["accuracy"]
    both = _cross(table, "sos+stripes")
    means = by(both, "data.subsample", least=2)
    examples = by(both, "data.subsample", "samples_2d")
    few, most = means.iloc[0], means.iloc[-1]
    text = (
        f"Stripes with {examples.iloc[0]:.0f} 2D examples {100 * few:.0f} %, with all "
        f"{examples.iloc[-1]:.0f} 2D examples {100 * most:.0f} %, with none {percent(alone)}."
    )
    # The fewest 2D examples must bring half of the gain of all of them.
    return outcome(text, shown=bool(few - alone.mean() >= max(POINTS, (most - alone.mean()) / 2)))


def _fewer_needed(table: pd.DataFrame) -> Outcome:
    few = [
        rows[rows["data.subsample"] < 1]
        for rows in (_cross(table, "sos"), _cross(table, "sos+stripes"))
    ]
    alone, both = (by(rows, "data.subsample") for rows in few)
    text = (
        f"2D examples alone {listed(alone, 'data.subsample')}; with stripes "
        f"{listed(both, 'data.subsample')}."
    )
    return outcome(text, shown=bool(((both - alone).dropna() >= POINTS).any()))


def _rim(table: pd.DataFrame) -> Outcome:
    alone = _whole(_cross(table, "stripes"))
    rim = chosen(final(table), "data.held_out.kind", "rim")
    first, second = (measured(rows, "accuracy")["accuracy"] for rows in (alone, rim))
    examples = measured(rim, "samples_2d")["samples_2d"].mean()
    text = (
        f"Stripes alone {percent(first)}; with {examples:.0f} 2D examples along the rim "
        f"{percent(second)}."
    )
    return outcome(text, shown=bool(second.mean() - first.mean() >= POINTS))


CLAIMS: Sequence[Claim] = (
    Claim(
        "Models trained on 1D stripes alone compose poorly; with added 2D examples they compose.",
        "[F] Fig. 4e",
        "accuracy in the intersection at least 20 points higher with 2D examples",
        partial(_adds, family="stripes", called="stripes", what="2D examples", least=2 * POINTS),
    ),
    Claim(
        "Models trained on 2D and 1D examples reach the intersection; with 2D examples alone they "
        "do not.",
        "[F] Fig. 4c-e",
        "accuracy in the intersection at least 10 points higher with stripes",
        partial(_adds, family="sos", called="2D examples", what="stripes", least=POINTS),
    ),
    Claim(
        "A few 2D examples in addition to the stripes suffice.",
        "[F] Fig. 4g",
        "the fewest 2D examples gain at least 10 points over stripes alone, and at least half of "
        "what all of them gain",
        _few_suffice,
    ),
    Claim(
        "With stripes, fewer 2D examples are needed.",
        "[F] Figs 4g, 5",
        "accuracy at least 10 points higher with stripes at some lambda below 1",
        _fewer_needed,
    ),
    Claim(
        "2D examples only along the rim are enough to improve on stripes alone.",
        "[F] Fig. 10",
        "accuracy at least 10 points higher with the rim",
        _rim,
    ),
)
