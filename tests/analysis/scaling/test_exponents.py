"""Crossings and exponents of synthetic tables with known laws."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import accuracy_table, crossings_table, exponents_table, measure_crossings
from analysis.tables.selection import single
from tests.helpers.rounding import EXACT
from tests.helpers.synthetic_trials import trials

FINE = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)


def exponent_of(table, family="bump", count="samples_2d", **options):
    exponents = exponents_table(measure_crossings(table, resamples=200, **options))
    rows = exponents[(exponents["family"] == family) & (exponents["count"] == count)]
    return rows.iloc[0]


def test_exponents_table_recovers_laws_without_noise():
    table = trials(noise=0, lambdas=np.geomspace(0.002, 1, 40), sizes=(8, 16, 31), spacing=0.25)
    assert exponent_of(table)["exponent"] == pytest.approx(2)
    assert exponent_of(table, "bump+stripes")["exponent"] == pytest.approx(1)


def test_exponents_table_interval_coverage():
    """Nominally 95 %; of 60 draws more than 0.84 hold it with probability 0.998."""
    held = []
    for draw in range(60):
        row = exponent_of(trials(draw=draw, lambdas=FINE, laws={"bump": (0.1, 2.0)}), seed=draw)
        held.append(row["low"] <= 2 <= row["high"])
    assert np.mean(held) > 0.84


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 50), st.integers(0, 100))
def test_exponents_table_invariant_under_scaling_samples(factor, draw):
    table = trials(draw=draw, lambdas=FINE, laws={"bump": (0.1, 2.0)})
    scaled = table.assign(samples_2d=table["samples_2d"] * factor)
    columns = ["exponent", "low", "high", "t_low", "t_high"]
    base, other = exponent_of(table), exponent_of(scaled)
    np.testing.assert_allclose(
        base[columns].astype(float), other[columns].astype(float), rtol=EXACT
    )
    assert other["prefactor"] == pytest.approx(factor * base["prefactor"])


def test_measure_crossings_counts_whole_data_set():
    table = trials(draw=1, laws={"bump+stripes": (0.6, 1.0)}, lambdas=FINE, sizes=(8, 12))
    found = crossings_table(measure_crossings(table, resamples=40)).set_index(["count", "size"])
    for size in (8, 12):
        alone, whole = (found.loc[(c, size), "value"] for c in ("samples_2d", "samples_total"))
        # Between two counts the mean is geometric. With 16 N added to both, it is nearer to the
        # arithmetic mean.
        counts = table.loc[table["data.size"] == size, "samples_2d"]
        before, after = counts[counts <= alone].max(), counts[counts > alone].min()
        share = np.log(alone / before) / np.log(after / before)
        assert alone < whole - 16 * size < before + share * (after - before)


def test_exponents_table_leaves_out_curve_without_crossing():
    table = trials(sizes=(8, 12, 16), laws={"bump": (0.1, 2.0)}, lambdas=FINE)
    table.loc[table["data.size"] == 12, "accuracy"] = 0.1
    crossings = measure_crossings(table, resamples=40)
    row = crossings_table(crossings).set_index(["count", "size"]).loc[("samples_2d", 12)]
    assert np.isnan(row["value"])
    assert row["reason"] == "below 60 % up to the largest measured count, 529"
    exponent = exponents_table(crossings).set_index("count").loc["samples_2d"]
    assert exponent["sizes"] == "8 16"
    assert "two N: a line always fits" in exponent["reason"]
    assert np.isnan(exponent["t_low"])


def test_exponents_table_one_size_has_no_exponent():
    row = exponent_of(trials(sizes=(8,)))
    assert np.isnan(row["exponent"])
    assert row["reason"] == "an exponent needs crossings at two N, and there are 1"


def test_exponents_table_one_seed_has_no_bootstrap_interval():
    row = exponent_of(trials(seeds=(0,), lambdas=FINE))
    # The law is 2. Noise of 0.2 in each log(crossing) of N = 8, 12, 16 makes a standard error of
    # 0.2 / sqrt(sum of (log N - mean)^2) = 0.41: the bound is 2.4 of them.
    assert row["exponent"] == pytest.approx(2, abs=1)
    assert np.isnan(row["low"])
    assert row["t_low"] < row["exponent"] < row["t_high"]
    assert row["reason"] == "no interval: one trial at every count for N = 8, 12, 16"


def test_exponents_table_reports_replicates_beyond_measured_range():
    table = trials(laws={"bump": (0.1, 2.0)}, lambdas=(0.02, 0.06, 0.3), noise=0.4, draw=2)
    row = exponent_of(table)
    assert "of replicates leave the measured range" in row["reason"]
    assert np.isfinite([row["low"], row["high"]]).all()


def test_measure_crossings_interval_independent_of_other_curves():
    table = trials(lambdas=FINE)
    few = crossings_table(measure_crossings(table[table["data.size"] < 16], resamples=40))
    many = crossings_table(measure_crossings(table, resamples=40))
    kept = many[many["size"] < 16].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, kept)


def test_measure_crossings_replicates_of_sizes_are_independent():
    found = measure_crossings(trials(lambdas=FINE, noise=0.3), resamples=1000)
    drawn = [item.crossing.replicates for item in found if item.count == "samples_2d"][:3]
    correlation = np.corrcoef(np.log(np.clip(drawn, 1, 1000)))
    assert np.abs(correlation[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(1000)  # standard errors


def test_measure_crossings_without_2d_examples():
    stripes = trials(laws={"stripes": (0.1, 2.0)}, lambdas=FINE).assign(samples_2d=0)
    assert {item.count for item in measure_crossings(stripes, resamples=40)} == {"samples_total"}


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
