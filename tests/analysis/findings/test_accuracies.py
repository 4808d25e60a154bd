"""Estimates of accuracies: what runs with the same seed have in common widens or narrows them."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.findings import NotMeasuredError
from analysis.findings._rules.accuracies import Accuracies

LABELS = 400


def table(cells):
    """One row per cell and seed; the accuracies of each cell by seed."""
    return pd.DataFrame(
        [
            {"cell": cell, "seed": seed, "accuracy": a, "labels": LABELS}
            | {"null_nearest": 0.1, "null_composed": 1.0}
            for cell, found in cells.items()
            for seed, a in found.items()
        ]
    )


def accuracies(cells):
    return Accuracies(table(cells), "accuracy", "cell")


def seeds(*values):
    return dict(enumerate(values))


def half(estimate):
    return (estimate.high - estimate.low) / 2


def test_seeds_that_are_good_in_all_cells_widen_the_mean_over_cells():
    common = np.array([-0.1, 0.0, 0.1])
    rng = np.random.default_rng(0)
    alike = accuracies({f"{i}": seeds(*(0.5 + common)) for i in range(6)})
    apart = accuracies({f"{i}": seeds(*(0.5 + rng.permutation(common))) for i in range(6)})
    assert half(alike.mean({})) > 2 * half(apart.mean({}))
    assert half(alike.mean({})) == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=0.01)


def test_one_scattered_cell_among_tight_ones_keeps_its_scatter():
    found = accuracies(
        {"wide": seeds(0.4, 0.6, 0.8)} | {f"{i}": seeds(0.9, 0.91, 0.9) for i in range(8)}
    )
    assert half(found.mean({"cell": "wide"})) > 0.3


def test_saturated_cells_keep_the_uncertainty_of_their_labels():
    found = accuracies({"a": seeds(1.0, 1.0, 1.0), "b": seeds(0.98, 0.98, 0.98)})
    assert 0.001 < half(found.mean({"cell": "a"})) < 0.03
    assert half(found.difference(({"cell": "a"}, {"cell": "b"}))) > 0.005


def test_fewer_than_two_common_seeds_give_no_interval():
    one = accuracies({"a": seeds(0.9), "b": seeds(0.3)})
    difference = one.difference(({"cell": "a"}, {"cell": "b"}))
    assert (difference.low, difference.high, difference.runs) == (-math.inf, math.inf, 1)
    other = accuracies({"a": {0: 0.9, 1: 0.9}, "b": {2: 0.3, 3: 0.3}})
    assert other.difference(({"cell": "a"}, {"cell": "b"})).runs == 0
    assert other.mean({"cell": "a"}).runs == 2


def test_combination_is_linear_and_beyond_subtracts_the_null_model():
    found = accuracies({"a": seeds(0.5, 0.6), "b": seeds(0.8, 0.9)})
    terms = [(2.0, {"cell": "b"}), (-1.0, {"cell": "a"})]
    plain, beyond = found.combination(terms), found.combination(terms, beyond=True)
    expected = 2 * found.mean({"cell": "b"}).value - found.mean({"cell": "a"}).value
    assert plain.value == pytest.approx(expected)
    assert beyond.value == pytest.approx(expected - 0.1)
    assert half(beyond) == pytest.approx(half(plain))
    with pytest.raises(NotMeasuredError, match="No finished trial with cell = c"):
        found.mean({"cell": "c"})
