"""Crossings and exponents of synthetic tables with known laws."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.scaling.exponents import (
    accuracy_table,
    crossings_table,
    exponents_table,
    measure_crossings,
)
from analysis.tables.selection import single
from tests.helpers.synthetic_trials import trials

FINE = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)


def exponent_of(table, family="bump", count="samples_2d", **options):
    exponents = exponents_table(measure_crossings(table, **options))
    rows = exponents[(exponents["family"] == family) & (exponents["count"] == count)]
    return rows.iloc[0]


def test_exponents_table_recovers_laws_without_noise():
    table = trials(noise=0, lambdas=np.geomspace(0.002, 1, 40), sizes=(8, 16, 31), spacing=0.25)
    for family, exponent in (("bump", 2), ("bump+stripes", 1)):
        row = exponent_of(table, family)
        # Rounded numbers of samples: 1 of 40 at the crossing of N = 8.
        assert row["exponent"] == pytest.approx(exponent, abs=0.05)
        assert row["low"] < exponent < row["high"]
        assert np.log(row["odds"]) * (2 * exponent - 3) > np.log(20)


def test_exponents_table_interval_coverage():
    """Nominally 95 %; of 60 draws more than 0.84 hold it with probability 0.998."""
    held = []
    for draw in range(60):
        row = exponent_of(trials(draw=draw, lambdas=FINE, laws={"bump": (0.1, 2.0)}))
        held.append(row["low"] <= 2 <= row["high"])
    assert np.mean(held) > 0.84


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 50), st.integers(0, 100))
def test_exponents_table_invariant_under_scaling_samples(factor, draw):
    table = trials(draw=draw, lambdas=FINE, laws={"bump": (0.1, 2.0)})
    scaled = table.assign(samples_2d=table["samples_2d"] * factor)
    base, other = exponent_of(table), exponent_of(scaled)
    # Half of the spacing of the exponents on the grid.
    for name in ("exponent", "low", "high"):
        assert other[name] == pytest.approx(base[name], abs=0.005)
    assert other["prefactor"] == pytest.approx(factor * base["prefactor"], rel=0.02)


def test_measure_crossings_counts_whole_data_set():
    table = trials(draw=1, laws={"bump+stripes": (0.6, 1.0)}, lambdas=FINE, sizes=(8, 12))
    found = crossings_table(measure_crossings(table)).set_index(["count", "size"])
    for size in (8, 12):
        for end in ("value", "low", "high", "monotone"):
            alone, whole = (found.loc[(c, size), end] for c in ("samples_2d", "samples_total"))
            assert whole == pytest.approx(alone + 16 * size, nan_ok=True)


def test_measure_crossings_of_thinned_stripes_are_proportional():
    table = trials(draw=1, laws={"bump+stripes": (0.6, 1.0)}, lambdas=FINE, sizes=(8, 12))
    table = table.assign(samples_total=4 * table["samples_2d"])
    found = measure_crossings(table)
    crossings = crossings_table(found).set_index(["count", "size"])
    for size in (8, 12):
        for end in ("value", "low", "high"):
            alone, whole = (crossings.loc[(c, size), end] for c in ("samples_2d", "samples_total"))
            assert whole == pytest.approx(4 * alone, nan_ok=True)
    both = exponents_table(found).set_index("count")
    assert both["exponent"].iloc[0] == pytest.approx(both["exponent"].iloc[1], abs=0.01)


def test_exponents_table_leaves_out_curve_without_crossing():
    table = trials(sizes=(8, 12, 16), laws={"bump": (0.1, 2.0)}, lambdas=FINE)
    table.loc[table["data.size"] == 12, "accuracy"] = 0.1
    crossings = measure_crossings(table)
    row = crossings_table(crossings).set_index(["count", "size"]).loc[("samples_2d", 12)]
    assert np.isnan(row["value"])
    assert row["reason"] == "below 60 % up to the largest measured count, 529"
    exponent = exponents_table(crossings).set_index("count").loc["samples_2d"]
    assert exponent["sizes"] == "8 16"
    assert "two N: a line always fits" in exponent["reason"]


def test_exponents_table_one_size_has_no_exponent():
    row = exponent_of(trials(sizes=(8,)))
    assert np.isnan(row["exponent"])
    assert row["reason"] == "an exponent needs crossings at two N, and there are 1"


def test_exponents_table_of_one_seed():
    row = exponent_of(trials(seeds=(0,), lambdas=FINE))
    # The law is 2. Noise of 0.2 in each log(crossing) of N = 8, 12, 16 makes a standard error of
    # 0.2 / sqrt(sum of (log N - mean)^2) = 0.41: the bound is 2.4 of them.
    assert row["exponent"] == pytest.approx(2, abs=1)
    assert row["low"] < row["exponent"] < row["high"]
    assert row["reason"] == ""


def test_exponents_table_names_crossings_beyond_the_measured_range():
    table = trials(laws={"bump": (0.1, 2.0)}, lambdas=(0.02, 0.06, 0.3), noise=0.4, draw=2)
    row = exponent_of(table)
    assert "lies outside the measured range with a probability of" in row["reason"]
    assert np.isfinite([row["low"], row["high"]]).all()


def test_measure_crossings_interval_independent_of_other_curves():
    table = trials(lambdas=FINE)
    few = crossings_table(measure_crossings(table[table["data.size"] < 16]))
    many = crossings_table(measure_crossings(table))
    kept = many[many["size"] < 16].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, kept)


def test_measure_crossings_without_2d_examples():
    stripes = trials(laws={"stripes": (0.1, 2.0)}, lambdas=FINE).assign(samples_2d=0)
    assert {item.count for item in measure_crossings(stripes)} == {"samples_total"}


def test_accuracy_table_averages_over_seeds():
    table = trials(sizes=(8,), lambdas=(0.1, 1.0), seeds=(0, 1, 2))
    table.loc[0, "accuracy"] = np.nan
    found = accuracy_table(table)
    assert found["trials"].tolist() == [2, 3, 3, 3]
    assert found["mean"][0] == pytest.approx(table["accuracy"][1:3].mean())
    assert found["std"][1] == pytest.approx(table["accuracy"][3:6].std())
    assert found.columns.tolist() == [
        *("family", "size", "subsample", "samples_2d", "samples_total"),
        *("trials", "mean", "std", "ceiling"),
    ]


def test_accuracy_table_and_measure_crossings_refuse_bad_tables():
    table = trials(sizes=(8,))
    with pytest.raises(ValueError, match=r"^The table of trials lacks accuracy; it has key"):
        measure_crossings(table.drop(columns="accuracy"))
    with pytest.raises(ValueError, match=r"^accuracy is 60\.0, but a share must lie in \[0, 1\]"):
        accuracy_table(table.assign(accuracy=60.0))


def test_single_takes_numbers_and_pairs():
    assert single(pd.DataFrame({"d": [0.5, 0.5]}), "d") == 0.5
    assert single(pd.DataFrame({"d": [(0.1, 1.0), [0.1, 1.0]]}), "d") == (0.1, 1.0)
    with pytest.raises(ValueError, match=r"^d holds 2 values \(\(0\.1, 1\.0\), 0\.5\)"):
        single(pd.DataFrame({"d": [0.5, (0.1, 1.0)]}), "d")
