"""Whether the two values of pairs could be swapped; for two data families or for two sweeps.

Data families are compared by trials that agree in N, lambda and seed.

Two such trials see the same 2D examples. Other settings may follow the family, such as the batch
size. Under the hypothesis of no
difference, the two accuracies of such a pair could be swapped. Pairs with the same N and seed share
examples at all lambdas, as the subsets are nested, so they are swapped together. The p-value is the
share of all swaps whose mean difference is at least as large. It assumes nothing about the shape of
the curves or of the noise. The test is our choice.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.tables.selection import measured, require

CELL = ("data.size", "data.subsample", "seed")
"""Settings in which the two trials of a pair agree."""

COLUMNS = (*CELL, "data.family", "accuracy")

_BLOCK = ["data.size", "seed"]
_SWAPS = 100_000  # all of them for up to 16 blocks, else so many drawn at random


@dataclass(frozen=True)
class PairedTest:
    """The result of the test."""

    pairs: int
    """Number of pairs of trials."""

    blocks: int
    """Number of combinations of N and seed among them, which are swapped as a whole."""

    better: int
    """Number of pairs in which the second family is more accurate."""

    difference: float
    """Mean accuracy of the second family minus that of the first."""

    p_value: float
    """Probability of so large a difference in either direction if there is none. The smallest
    possible one is ``2 / 2**blocks``."""


def paired_test(table: pd.DataFrame, first: str, second: str) -> PairedTest | None:
    """Compare two families on the pairs of trials that agree in N, lambda and seed.

    Args:
        table: One row per finished trial, with `COLUMNS`; rows without accuracy are skipped.
        first: A data family.
        second: Another one.

    Returns:
        The result; None if there is no pair.

    Raises:
        ValueError: A column is missing, or two trials of a family agree in N, lambda and seed.
    """
    require(table, COLUMNS)
    rows = measured(table)
    one, other = (
        rows[rows["data.family"] == family].set_index([*CELL])["accuracy"]
        for family in (first, second)
    )
    for family, accuracies in ((first, one), (second, other)):
        if not accuracies.index.is_unique:
            raise ValueError(f"two trials of {family} have the same N, lambda and seed.")
    pairs = pd.concat([one, other], axis=1, join="inner", keys=["first", "second"])
    if pairs.empty:
        return None
    return pairs_test(pairs["first"], pairs["second"], list(pairs.groupby(_BLOCK).ngroup()))


def pairs_test(first: ArrayLike, second: ArrayLike, blocks: Sequence[Hashable]) -> PairedTest:
    """Test whether the two values of pairs could be swapped.

    Args:
        first: First values, shape (pairs,), at least one.
        second: Second values, shape (pairs,).
        blocks: The block of each pair; pairs of a block are swapped together.
    """
    values = {"first": np.asarray(first, float), "second": np.asarray(second, float)}
    pairs = pd.DataFrame({**values, "block": list(blocks)})
    sums = pairs.groupby("block", sort=False)[["first", "second"]].sum()
    difference = pairs["second"] - pairs["first"]
    return PairedTest(
        pairs=len(pairs),
        blocks=len(sums),
        better=int((difference > 0).sum()),
        difference=float(difference.mean()),
        p_value=1.0 if len(sums) == 1 else _swapped(sums),  # both swaps of one are alike
    )


def _swapped(blocks: pd.DataFrame) -> float:
    """Return the p-value from the sums of both families in each block."""
    found = stats.permutation_test(
        (blocks["second"], blocks["first"]),
        lambda x, y, axis: np.sum(x, axis=axis) - np.sum(y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_SWAPS,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)
