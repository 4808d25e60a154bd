"""The ratio of examples to those of a model that draws the nearest one."""

import numpy as np
import pytest

from analysis.scaling.advantage import advantages_table, null_crossings
from analysis.scaling.exponents import measure_crossings
from analysis.scaling.first_guess import first_guess
from factorlab.config import DataSettings, EvaluationSettings, RunSettings
from factorlab.parsing import parse
from tests.helpers.synthetic_trials import trials

FINE = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)


def test_null_crossings_are_those_of_the_nearest_example():
    table = trials(sizes=(8, 12)).assign(**{"evaluation.samples": 400})
    found = null_crossings(table, 0.6)
    evaluation = EvaluationSettings(samples=400)
    run = RunSettings(data=DataSettings(size=12, spacing=0.5), evaluation=evaluation)
    assert list(found) == [8, 12]
    assert found[12] == first_guess(run, "nearest", 0.6)
    coarse = table.assign(**{"data.spacing": 4.0, "evaluation.labels": "uniform"})
    assert null_crossings(coarse, 0.9) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"data.periodic": True, "data.spacing": 1.0},
        {"data.spacing": 0.045},
        {"data.held_out.kind": "box", "data.held_out.width": 2.0, "evaluation.labels": "region"},
        {"data.sigma": None, "evaluation.samples": float("nan")},
    ],
)
def test_null_crossings_have_all_settings_of_the_trials(changes):
    table = trials(sizes=(6,)).assign(**changes)
    given = {key: value for key, value in changes.items() if value is not None and value == value}
    nested = {"data": {"size": 6, "spacing": 0.5}, "evaluation": {}}
    for key, value in given.items():
        group, *rest = key.split(".")
        place = nested[group] if len(rest) == 1 else nested[group].setdefault(rest[0], {})
        place[rest[-1]] = value
    expected = first_guess(parse(nested), "nearest", 0.6)
    assert null_crossings(table, 0.6) == {6: expected}


def test_null_crossings_leave_out_settings_that_are_not_allowed():
    table = trials(sizes=(8, 12)).assign(**{"data.periodic": True, "data.spacing": 1.5})
    assert list(null_crossings(table, 0.6)) == [12]


def test_ratio_of_a_known_law():
    """Crossings at 0.1 N^2 against nulls at 0.4 N^2: four times fewer at every N."""
    found = measure_crossings(trials(noise=0.1, lambdas=FINE, laws={"bump": (0.1, 2.0)}))
    nulls = {size: 0.4 * size**2 for size in (8, 12, 16)}
    table = advantages_table(found, nulls)
    assert table["size"].tolist() == [8, 12, 16, 0]
    assert ((table["low"] < 4) & (table["high"] > 4)).all()
    assert table["null"].tolist()[:3] == pytest.approx(list(nulls.values()))
    width = np.log(table["high"] / table["low"])
    assert width.iloc[-1] < 0.8 * width.iloc[:3].min()
    middle = np.log(table["ratio"])
    assert middle.iloc[-1] == pytest.approx(middle.iloc[:3].mean())


def test_null_model_as_the_model_has_no_advantage():
    """Nominally 95 %; of 60 draws fewer than 51 hold 1 with probability 0.002."""
    held = 0
    for draw in range(60):
        table = trials(noise=0.2, lambdas=FINE, laws={"bump": (0.2, 2.0)}, draw=draw)
        ratios = advantages_table(
            measure_crossings(table), {size: 0.2 * size**2 for size in (8, 12, 16)}
        )
        last = ratios.iloc[-1]
        held += last["low"] < 1 < last["high"]
    assert held >= 51


def test_curves_without_a_crossing_or_a_null_are_left_out():
    table = trials(noise=0.1, lambdas=FINE)
    table.loc[table["data.size"] == 12, "accuracy"] = 0.1
    found = advantages_table(measure_crossings(table), {8: 20.0, 12: 50.0})
    assert found[["family", "size"]].to_numpy().tolist() == [
        ["bump", 8],
        ["bump", 0],
        ["bump+stripes", 8],
        ["bump+stripes", 0],
    ]
    assert advantages_table([], {}).empty
