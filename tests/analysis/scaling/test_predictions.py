"""Tables of percolation against the functions of `percolation` and known exponents."""

import numpy as np
import pandas as pd
import pytest

from analysis.scaling.predictions import (
    critical_table,
    mass_ratio_table,
    prediction_exponents_table,
    predictions_table,
)
from percolation import Link, critical_fraction, lattice_links, mass_ratio, predict_samples, radius

SETTING = {"spacing": 0.5, "sigma": 1.0, "realisations": 10}


def test_predictions_table_matches_predict_samples():
    found = predictions_table([8, 12], thresholds=[0.05, 0.5], seed=3, **SETTING)
    assert found["threshold"].tolist() == [0.05, 0.05, 0.5, 0.5]
    for _, row in found.iterrows():
        expected = predict_samples(
            int(row["size"]), 0.5, sigma=1, threshold=row["threshold"], realisations=10, seed=3
        )
        assert row["value"] == expected.value
        assert row["error"] == expected.error
        assert row["sites"] == expected.sites


def test_mass_ratio_table_matches_mass_ratio():
    found = mass_ratio_table([8], thresholds=[0.5], smallest=0.001, points=60, **SETTING)
    assert found["samples_2d"].min() == 2
    links = lattice_links(8, 0.5, Link(sigma=1, threshold=0.5))
    expected = mass_ratio(links, found["subsample"].tolist(), realisations=10)
    np.testing.assert_array_equal(found["mass_ratio"], expected.mass_ratio_kept)
    assert found["subsample"].iloc[-1] == 1


def test_predictions_table_open_for_bumps_that_never_meet():
    found = predictions_table([8, 12], spacing=1, sigma=0.01, thresholds=[0.5], realisations=2)
    assert found["value"].isna().all()
    exponents = prediction_exponents_table(found)
    assert exponents["sizes"].tolist() == [""]
    assert exponents["exponent"].isna().all()


def test_prediction_exponents_table_of_exact_power_law():
    sizes = np.array([8, 16, 32])
    table = pd.DataFrame({"threshold": 0.5, "size": sizes, "value": 0.3 * sizes**2.0})
    row = prediction_exponents_table(table.assign(error=0.0)).iloc[0]
    assert row["exponent"] == pytest.approx(2)
    assert row["prefactor"] == pytest.approx(0.3)
    assert row["low"] == row["high"] == row["exponent"]
    # Relative errors e at -ln 2, 0, ln 2: the slope's error is e sqrt(2) ln 2 / (2 ln^2 2).
    row = prediction_exponents_table(table.assign(error=0.1 * table["value"])).iloc[0]
    half = 1.959964 * 0.1 / (np.sqrt(2) * np.log(2))
    assert row["high"] - row["exponent"] == pytest.approx(half)


def test_prediction_exponents_table_of_bumps_is_two():
    found = predictions_table(
        [17, 25, 33], spacing=0.5, sigma=0.5, thresholds=[0.5], realisations=40
    )
    row = prediction_exponents_table(found).iloc[0]
    # The finite frame adds up to the transition's width, L^(-1 / nu), to each number of samples.
    width = [((side - 1) / radius(0.5, 0.5)) ** -0.75 for side in (17, 33)]
    finite = np.log2((1 + width[0]) / (1 + width[1]))
    error = (row["high"] - row["low"]) / (2 * 1.96)
    assert row["exponent"] == pytest.approx(2, abs=finite + 3 * error)


def test_mass_ratio_table_refuses_smallest_of_zero():
    with pytest.raises(ValueError, match=r"^smallest is 0"):
        mass_ratio_table([8], thresholds=[0.5], smallest=0, **SETTING)


def test_critical_table_matches_critical_fraction():
    found = critical_table(spacing=2.0, sigma=1.0, thresholds=[0.05, 0.5, 0.9], realisations=50)
    assert found["threshold"].tolist() == [0.05, 0.5]  # at 0.9 a link is shorter than 2 pixels
    for _, row in found.iterrows():
        expected = critical_fraction(1.0, row["threshold"], 2.0, realisations=50)
        assert expected is not None
        assert row["critical"] == expected.value
        assert row["error"] == expected.error
        assert row["neighbours"] == expected.neighbours
    uneven = critical_table(spacing=(1.0, 2.0), sigma=1.0, thresholds=[0.05])
    assert uneven.empty
