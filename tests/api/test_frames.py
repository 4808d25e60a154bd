"""Frames of sweeps, and what is estimated from them."""

import tarfile

import numpy as np
import pandas as pd
import pytest

import factorlab.api as fl
from factorlab.errors import UserError
from percolation import Link, lattice_links, mass_ratio
from sweeps.planning import saved_plans
from sweeps.reporting import reports


def test_load_has_the_columns_of_an_export_with_swept_settings_first(runs):
    frame = fl.load("scaling")
    plan = saved_plans.find(runs, "scaling")
    table = reports.table(plan)
    pd.testing.assert_frame_equal(frame[table.columns], table)
    assert [*frame.columns[:4]] == ["data.family", "data.size", "data.subsample", "seed"]
    assert set(frame.columns) - set(table.columns) == {"record"}
    assert plan.profile == "laptop"
    assert len(fl.load("scaling", profile="smoke")) == len(fl.load("scaling_smoke")) == 28


def test_load_puts_settings_of_a_swept_group_first(runs):
    assert [*fl.load("holes").columns[:2]] == ["data.held_out.width", "seed"]


def test_load_of_steps_has_one_row_per_evaluation(runs):
    frame = fl.load("torus", steps=True, runs=runs)
    assert len(frame) == 3 * 5
    assert frame.groupby("seed")["step"].apply(list).tolist() == [[0, 100, 200, 400, 800]] * 3
    assert frame.loc[frame["last"], "step"].tolist() == [800] * 3
    assert set(frame["layer4/phase"]) == {"A", "C"}


def test_load_reads_an_unpacked_archive(runs, tmp_path):
    reports.export(saved_plans.find(runs, "scaling", "smoke"), tmp_path / "a.tar.xz")
    with tarfile.open(tmp_path / "a.tar.xz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    frame = fl.load("scaling", runs=tmp_path / "unpacked")
    same = fl.load("scaling", profile="smoke")
    pd.testing.assert_frame_equal(frame.drop(columns="record"), same.drop(columns="record"))


def test_load_of_unknown_sweep_names_those_that_exist(runs, tmp_path):
    with pytest.raises(UserError, match=r"no sweep of 'scale'.*holes_default, scaling_laptop"):
        fl.load("scale")
    with pytest.raises(UserError, match="nowhere: the runs folder does not exist"):
        fl.load("scaling", runs=tmp_path / "nowhere")


def test_crossings_find_the_law_of_the_records(runs):
    found = fl.crossings(fl.load("scaling"))
    in_2d = found[found["count"] == "samples_2d"]
    for family, (prefactor, exponent) in {"bump": (0.14, 2), "bump+stripes": (1.2, 1)}.items():
        rows = in_2d[in_2d["family"] == family]
        np.testing.assert_allclose(rows["value"], prefactor * rows["size"] ** exponent, rtol=0.25)
        assert (rows["low"] < rows["value"]).all()
        law = fl.exponents(rows).iloc[0]
        assert law["low"] < exponent < law["high"]
        assert law["high"] - law["low"] < 1


def test_crossings_are_the_same_from_runs_and_from_evaluations(runs):
    columns = ["family", "size", "count", "value", "low", "high"]
    first, second = (fl.crossings(fl.load("scaling", steps=steps)) for steps in (False, True))
    pd.testing.assert_frame_equal(first[columns], second[columns])


def test_crossings_by_a_setting_are_those_of_each_of_its_values(runs):
    frame = fl.load("scaling")
    double = frame.assign(**{"data.sigma": 2.0}, samples_2d=2 * frame["samples_2d"])
    both = pd.concat([frame, double], ignore_index=True)
    with pytest.raises(ValueError, match=r"data\.sigma differs"):
        fl.crossings(both)
    found = fl.crossings(both, by="data.sigma")
    one, other = (found[found["data.sigma"] == sigma] for sigma in (1.0, 2.0))
    alone = fl.crossings(frame)
    np.testing.assert_array_equal(one["value"], alone["value"])
    in_2d = other["count"] == "samples_2d"
    np.testing.assert_allclose(
        other["value"][in_2d], 2 * alone["value"][in_2d.to_numpy()], rtol=0.01
    )
    laws = fl.exponents(found)
    assert list(laws["data.sigma"]) == [1.0] * 4 + [2.0] * 4


def test_unfinished_runs_do_not_count(runs):
    frame = fl.load("scaling")
    frame.loc[frame["data.size"] == 8, "state"] = "resumable"
    assert set(fl.crossings(frame)["size"]) == {12, 16}


def test_exponents_of_another_frame_are_refused(runs):
    with pytest.raises(ValueError, match="lacks family"):
        fl.exponents(fl.load("holes"))


def test_percolation_is_the_mass_ratio_of_the_engine():
    found = fl.percolation(8, 1.0, spacing=1.0, threshold=0.5, points=5, realisations=10, seed=3)
    links = lattice_links(8, 1.0, Link(sigma=1.0, threshold=0.5))
    curve = mass_ratio(links, found["subsample"].tolist(), realisations=10, seed=3)
    np.testing.assert_array_equal(found["mass_ratio"], curve.mass_ratio_kept)
    assert found[["low", "high"]].stack().between(0, 1).all()
    inside = found[(found["low"] > 0) & (found["high"] < 1)]
    half = (inside["high"] - inside["low"]) / 2
    np.testing.assert_allclose(half, 1.959964 * inside["error"], rtol=1e-6)


def test_predictions_grow_with_the_frame_and_have_an_exponent():
    found = fl.predictions([8, 12, 16], 1.0, threshold=(0.05, 0.5), realisations=10)
    assert len(found) == 6
    strict = found[found["threshold"] == 0.5]
    assert strict["value"].is_monotonic_increasing
    assert ((strict["low"] <= strict["value"]) & (strict["value"] <= strict["high"])).all()
    assert list(fl.exponents(found)["threshold"]) == [0.05, 0.5]
