"""Comparisons of two sweeps: which runs match, and how often intervals hold the truth."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.comparison import compare

SWEPT = ("data.size", "data.sigma", "data.held_out")


def table(rows, name="a", **common):
    """Return planned runs; a row holds size, seed and the metric, or None for an unfinished run."""
    return pd.DataFrame(
        {
            "key": f"{name}-{size}-{seed}",
            "state": "new" if value is None else "done",
            "data.size": size,
            "seed": seed,
            "loss": value,
            "weights_sha256": None if value is None else f"{value}",
            **common,
        }
        for size, seed, value in rows
    )


GRID = [(size, seed) for size in (8, 12) for seed in (0, 1, 2)]


def test_pairs_and_cells_of_equal_designs():
    first = table([(*cell, 1.0 + 0.1 * cell[1]) for cell in GRID])
    second = table([(*cell, 1.5 + 0.2 * cell[1]) for cell in GRID], "b", **{"training.steps": 9})
    found = compare(first.assign(**{"training.steps": 5}), second, SWEPT, "loss")
    assert found.settings.to_numpy().tolist() == [["training.steps", (5,), (9,), False]]
    assert found.cells["data.size"].tolist() == [8, 12]
    assert found.cells["pairs"].tolist() == [3, 3]
    expected = stats.ttest_1samp([0.5, 0.6, 0.7], 0).confidence_interval()
    np.testing.assert_allclose(found.cells[["low", "high"]], [[*expected]] * 2)
    assert found.overall.value == pytest.approx(0.6)
    assert found.test.blocks == 6
    assert found.test.p_value == pytest.approx(2 / 2**6)
    assert found.only_a.empty
    assert found.only_b.empty


def test_swept_values_in_one_sweep_alone_are_left_out():
    first = table([(*cell, 1.0) for cell in GRID])
    second = table([(size, seed, 1.0) for size in (12, 20) for seed in (1, 2, 3)], "b")
    found = compare(first, second, SWEPT, "loss")
    assert found.pairs[["data.size", "seed"]].to_numpy().tolist() == [[12, 1], [12, 2]]
    assert found.only_a[["data.size", "seed"]].to_numpy().tolist() == [
        [8, 0],
        [8, 1],
        [8, 2],
        [12, 0],
    ]
    assert len(found.only_b) == 4
    assert found.settings["setting"].tolist() == ["data.size", "seed"]


def test_constant_setting_without_common_value_is_what_is_compared():
    first = table([(*cell, 1.0) for cell in GRID], **{"data.sigma": 1.0})
    second = table([(*cell, 2.0) for cell in GRID], "b", **{"data.sigma": 2.0})
    found = compare(first, second, SWEPT, "loss")
    assert len(found.pairs) == 6
    assert "data.sigma" not in found.cells


def test_axis_without_common_value_is_an_obstacle():
    first = table([(*cell, 1.0) for cell in GRID])
    second = table([(size, 0, 1.0) for size in (7, 10)], "b")
    found = compare(first, second, SWEPT, "loss")
    assert found.obstacle == "data.size"
    assert found.pairs.empty
    assert found.cells.empty
    assert found.overall is None


def test_settings_of_a_swept_group_are_matched_where_they_are_missing():
    held = {"data.held_out.kind": "box", "data.held_out.width": 2.0}
    first = pd.concat([table([(8, 0, 1.0)]), table([(8, 0, 2.0)], **held)], ignore_index=True)
    first["key"] = ["one", "other"]
    found = compare(first, first.assign(loss=[1.5, 3.0]), SWEPT, "loss")
    assert found.pairs["difference"].tolist() == [0.5, 1.0]
    assert found.cells["data.held_out.width"].fillna(0).tolist() == [0, 2.0]


def test_sweeps_without_a_common_seed_are_compared_as_groups():
    first = table([(8, seed, float(seed)) for seed in (0, 1, 2)])
    second = table([(8, seed, float(seed)) for seed in (5, 6, 8)], "b")
    found = compare(first, second, SWEPT, "loss")
    assert found.pairs.empty
    assert found.test is None
    (row,) = found.cells.to_dict("records")
    expected = stats.ttest_ind([5, 6, 8], [0, 1, 2], equal_var=False).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))


def test_unfinished_runs_are_counted_and_left_out():
    first = table([(8, 0, 1.0), (8, 1, None), (8, 2, 1.0)])
    second = table([(8, 0, 2.0), (8, 1, 2.0), (8, 2, None)], "b")
    found = compare(first, second, SWEPT, "loss")
    assert found.pairs["seed"].tolist() == [0]
    assert found.unfinished == 2
    assert found.cells["low"].tolist() == [-math.inf]
    assert not found.pairs["identical"].any()


def test_equal_weights_are_identical_and_leave_nothing_open():
    first = table([(*cell, 0.5) for cell in GRID]).rename(columns={"loss": "accuracy"})
    found = compare(first.assign(labels=100), first.assign(labels=100), SWEPT, "accuracy")
    assert found.cells["identical"].tolist() == [3, 3]
    assert (found.cells[["difference", "low", "high"]] == 0).all(axis=None)
    assert found.test.p_value == 1
    assert found.pairs["same_key"].all()


values = st.lists(st.floats(0, 1), min_size=6, max_size=6)


@given(first=values, second=values)
def test_exchange_of_the_sweeps_negates_differences(first, second):
    one, other = (
        table([(*cell, value) for cell, value in zip(GRID, shares, strict=True)], name)
        for name, shares in (("a", first), ("b", second))
    )
    there, back = compare(one, other, SWEPT, "loss"), compare(other, one, SWEPT, "loss")
    np.testing.assert_allclose(there.cells["difference"], -back.cells["difference"], atol=1e-12)
    np.testing.assert_allclose(there.cells["low"], -back.cells["high"], atol=1e-9)
    assert there.overall.value == pytest.approx(-back.overall.value, abs=1e-12)
    assert there.test.p_value == pytest.approx(back.test.p_value)
    measured = np.mean(second) - np.mean(first)
    assert there.overall.value == pytest.approx(measured, abs=1e-12)


def test_intervals_of_accuracies_hold_the_true_difference():
    rng, held = np.random.default_rng(0), []
    truth = {8: (0.5, 0.7), 12: (0.95, 0.9), 16: (0.2, 0.2)}
    for _ in range(40):
        tables = []
        for sweep in range(2):
            rows = [
                (size, seed, rng.binomial(400, rng.beta(40 * p, 40 * (1 - p))) / 400)
                for size, means in truth.items()
                for p in [means[sweep]]
                for seed in range(3)
            ]
            made = table(rows, "ab"[sweep]).rename(columns={"loss": "accuracy"})
            tables.append(made.assign(labels=400))
        cells = compare(*tables, SWEPT, "accuracy").cells.set_index("data.size")
        for size, (a, b) in truth.items():
            held.append(cells.loc[size, "low"] <= b - a <= cells.loc[size, "high"])
            assert math.isfinite(cells.loc[size, "low"])
    # 95 % of 120 intervals, less three standard errors; the wider of two holds it more often.
    assert np.mean(held) > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 120)
    # Nor are they so wide that they say nothing: these accuracies scatter by 0.07.
    assert (cells["high"] - cells["low"]).median() < 0.8
