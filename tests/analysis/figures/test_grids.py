"""Figures over any settings: the settings that they choose, and the numbers that they show."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.sweep import curves, load, maps, options_of
from analysis.plotting import axis_labels
from factorlab.parsing import setting_keys


def table(*, sigmas=(0.5, 1.0), spacings=(0.5, (0.25, 1.0)), seeds=(0, 1), steps=(0, 10, 30)):
    """Trials whose accuracy is a known function of their settings."""
    rows = []
    for sigma in sigmas:
        for spacing in spacings:
            for seed in seeds:
                for step in steps:
                    base = sigma * step / 60
                    rows.append(
                        {
                            "key": f"{sigma}-{spacing}-{seed}",
                            "state": "done",
                            "seed": seed,
                            "data.sigma": sigma,
                            "data.spacing": spacing,
                            "data.family": "bump",
                            "step": step,
                            "last": step == steps[-1],
                            "accuracy": base + 0.1 * seed,
                            "ceiling": 0.9,
                            "layer4/dimension": 5.0,
                        }
                    )
    return pd.DataFrame(rows)


def texts(drawing):
    return [t.get_text() for t in drawing.figure.findobj(lambda a: hasattr(a, "get_text"))]


def test_curves_draw_averages_seeds_at_last_step():
    means = curves.draw(table(), curves.Options(x="data.sigma", lines=["data.spacing"])).panels[
        "means"
    ]
    assert len(means) == 4
    for row in means.itertuples():
        assert row.mean == pytest.approx(row.x / 2 + 0.05)
        assert row.std == pytest.approx(np.std([0, 0.1], ddof=1))
        assert (row.trials, row.ceiling) == (2, pytest.approx(0.9))
    assert set(means["line"]) == {"d = 0.5", "d = 0.25 x 1"}


def test_curves_draw_takes_step_as_axis():
    options = curves.Options(x="step", y=["accuracy", "layer4/dimension"], panels=["data.sigma"])
    drawing = curves.draw(table(), options)
    means = drawing.panels["means"]
    assert len(means) == 2 * 2 * 2 * 3
    assert {"σ = 0.5", "Optimizer step", "Effective dimension (layer4)", "Accuracy (%)"} <= {
        text.split("$   ")[-1] for text in texts(drawing)
    }


def test_curves_draw_chooses_settings_that_differ():
    drawing = curves.draw(table(sigmas=(0.25, 0.5, 1.0)))
    means = drawing.panels["means"]
    assert sorted(set(means["x"])) == [0.25, 0.5, 1.0]
    assert set(means["line"]) == {"d = 0.5", "d = 0.25 x 1"}
    lone = curves.draw(table(sigmas=(1.0,), spacings=(0.5,))).panels["means"]
    assert lone["x"].to_list() == [0, 10, 30]  # only the step differs


def test_curves_draw_names_unfinished_and_unmeasured():
    rows = table()
    waiting = rows["key"] == "1.0-0.5-1"
    rows.loc[waiting, "last"] = False
    rows.loc[waiting, "state"] = "resumable"
    drawing = curves.draw(rows, curves.Options(y=["accuracy", "accuracy_unseen"]))
    said = " ".join(texts(drawing)).replace("\n", " ")
    assert "1 of 8 trials are unfinished and not shown (1 resumable)" in said
    assert "Not measured: Accuracy, labels not trained on (%)" in said
    with pytest.raises(ValueError, match="accuracy_unseen: not measured in any trial"):
        curves.draw(rows, curves.Options(y=["accuracy_unseen"]))


@pytest.mark.parametrize(("seeds", "expected"), [("mean", 0.05), ("best", 0.1)])
def test_maps_draw_mean_or_best_of_seeds(seeds, expected):
    options = maps.Options(y="data.sigma", panels=["data.spacing"], seeds=seeds)
    cells = maps.draw(table(), options).panels["cells"]
    assert len(cells) == 2 * 2 * 3
    np.testing.assert_allclose(cells["value"], cells["x"] * cells["y"] / 60 + expected)


def test_maps_draw_needs_a_setting_that_differs():
    with pytest.raises(ValueError, match="do not differ in a setting"):
        maps.draw(table(sigmas=(1.0,), spacings=(0.5,)))


@pytest.mark.parametrize("figure", ["curves", "maps", "views", "samples", "datasets"])
@pytest.mark.parametrize(
    "values", [{"nosuch": 1}, {"columns": "data.sgima", "panels": ["data.sgima"]}]
)
def test_options_of_refuses_bad_values(figure, values):
    with pytest.raises(ValueError, match=r"nosuch|is not a setting"):
        options_of(load(figure), values)


@given(
    key=st.sampled_from([*setting_keys(), "step"]),
    content=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.tuples(st.floats(), st.floats()),
    ),
)
def test_value_has_a_name_for_any_content(key, content):
    assert isinstance(axis_labels.value(key, content), str)
    assert axis_labels.setting(key)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("accuracy", "Accuracy (%)"),
        ("accuracy_out_of_distribution", "Accuracy, held-out region (%)"),
        ("ceiling_x", "Ceiling, x alone (%)"),
        ("share_none", "Share, no shape (%)"),
        ("layer3/r_squared_x", "R² of x, UMAP (layer3)"),
        ("my_metric", "my metric"),
    ],
)
def test_metric_name_and_unit(metric, name):
    assert axis_labels.metric(metric) == name


def test_maps_say_how_accurate_the_nearest_example_is():
    nulls = table().assign(null_nearest=lambda t: 0.25 + 0.5 * t["data.sigma"])
    drawn = maps.draw(nulls, maps.Options(y="data.sigma"))
    assert any(
        "Accuracy of drawing the nearest training example: 50 to 75 %." in t for t in texts(drawn)
    )
    plain = maps.draw(table(), maps.Options(y="data.sigma"))
    assert not any("nearest" in text for text in texts(plain))
