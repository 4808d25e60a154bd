"""The paired test against the exact sign test, and its rate of false alarms."""

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.paired import paired_test
from tests.helpers.synthetic_trials import trials

FAMILIES = ("bump", "bump+stripes")


def alike(draw, **laws):
    """Return trials of two families, by default with the same law."""
    laws = laws or dict.fromkeys(FAMILIES, (0.1, 2.0))
    return trials(laws=laws, noise=0.4, draw=draw, seeds=(0, 1, 2), lambdas=(0.02, 0.05, 0.1))


def test_all_blocks_in_one_direction_have_the_smallest_p_value():
    table = alike(0)
    second = table["data.family"] == FAMILIES[1]
    table.loc[second, "accuracy"] = table.loc[~second, "accuracy"].to_numpy() * 0.9
    found = paired_test(table, *FAMILIES)
    assert (found.pairs, found.blocks, found.better) == (27, 9, 0)
    assert found.difference < 0
    assert found.p_value == pytest.approx(2 / 2**9)
    turned = paired_test(table, *reversed(FAMILIES))
    assert (turned.better, turned.p_value) == (27, found.p_value)
    assert turned.difference == pytest.approx(-found.difference)


def test_false_alarms_are_as_rare_as_stated():
    """Of 200 tests without a difference, 10 have p < 0.05; more than 21 with probability 0.001."""
    alarms = sum(paired_test(alike(draw), *FAMILIES).p_value < 0.05 for draw in range(200))
    assert alarms <= 21


def test_difference_is_found():
    table = alike(0, **{"bump": (0.2, 2.0), "bump+stripes": (0.1, 2.0)})
    found = paired_test(table, *FAMILIES)
    assert found.difference > 0
    assert found.p_value < 0.02


def test_only_pairs_count():
    table = alike(0)
    first = table[(table["data.family"] == "bump") & (table["seed"] == 0)]
    second = table[(table["data.family"] == "bump+stripes") & (table["data.size"] == 8)]
    found = paired_test(pd.concat([first, second]), *FAMILIES)
    assert (found.pairs, found.blocks) == (3, 1)
    assert found.p_value == 1
    assert paired_test(first, *FAMILIES) is None


def test_rows_without_accuracy_are_skipped_and_doubles_refused():
    table = alike(0)
    missing = table.assign(accuracy=table["accuracy"].where(np.arange(len(table)) > 0))
    assert paired_test(missing, *FAMILIES).pairs == 26
    with pytest.raises(ValueError, match="two trials of bump have the same N"):
        paired_test(pd.concat([table, table.head(1)]), *FAMILIES)
