"""Figures from frames."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

import factorlab.api as fl
from analysis.figures import sweep as sweep_figures
from factorlab.errors import UserError
from sweeps.planning import saved_plans
from sweeps.reporting import reports


def test_plot_has_a_function_for_every_figure_of_a_sweep():
    names = dir(fl.plot)
    assert names == [name.replace("-", "_") for name in sweep_figures.available()]
    for name in names:
        draw = getattr(fl.plot, name)
        assert draw.__name__ == name
        for option in sweep_figures.load(name.replace("_", "-")).Options.model_fields:
            assert f"    {option}: " in draw.__doc__
    with pytest.raises(AttributeError, match="There is no 'curve' among the figures"):
        _ = fl.plot.curve
    assert not hasattr(fl.plot, "__wrapped__")


def test_plot_draws_what_the_sweep_draws(runs):
    rows = reports.evaluations(saved_plans.find(runs, "scaling"))
    module = sweep_figures.load("curves")
    options = {"x": "data.subsample", "panels": ["data.size"]}
    expected = module.draw(rows, sweep_figures.options_of(module, options))
    for steps in (False, True):
        figure = fl.plot.curves(fl.load("scaling", steps=steps), **options)
        assert isinstance(figure, Figure)
        assert len(figure.axes) == len(expected.figure.axes) == 3
        for mine, theirs in zip(figure.axes, expected.figure.axes, strict=True):
            for one, other in zip(mine.get_lines(), theirs.get_lines(), strict=True):
                pd.testing.assert_frame_equal(*(pd.DataFrame(x.get_xydata()) for x in (one, other)))


@pytest.mark.parametrize("name", ["samples", "datasets", "cells"])
def test_figures_of_single_runs_find_the_records(runs, name, monkeypatch):
    frame = fl.load("holes")
    monkeypatch.delenv("FACTORLAB_RUNS")
    assert getattr(fl.plot, name)(frame).axes


def test_figure_shows_itself_in_a_notebook_and_saves_nothing(runs, tmp_path):
    figure = fl.plot.phases(fl.load("torus", steps=True), layer="layer4")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_in_options_are_named(runs):
    frame = fl.load("holes")
    with pytest.raises(UserError, match=r"fl\.plot\.curves: unknown key 'panel'; allowed: x, y"):
        fl.plot.curves(frame, panel=["seed"])
    with pytest.raises(UserError, match=r"fl\.plot\.scaling: level = 2: .*less than or equal"):
        fl.plot.scaling(fl.load("scaling"), level=2)
    with pytest.raises(ValueError, match="layer4"):
        fl.plot.phases(frame, layer="layer4")
