"""Figures beside null models: what they show agrees with the table, and bad tables."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from pydantic import ValidationError

from analysis.errors import NotDrawableError
from analysis.figures.sweep import atlas, cells, percolation
from analysis.statistics.cell_means import CellMeans
from tests.analysis.findings import tables

COMPOSITION = ["data.family", "data.held_out.kind", "data.subsample"]


def test_cells_have_the_means_of_their_runs_and_the_null_models():
    table = tables.composition(learns=True)
    options = cells.Options(cells=COMPOSITION, y=["accuracy", "accuracy_intersection"])
    drawn = cells.draw(table, options).panels["cells"]
    assert len(drawn) == 2 * 8
    rows = table[table["last"]]
    means = CellMeans(rows, "accuracy", rows["labels"].to_list(), COMPOSITION)
    for _, cell in drawn[drawn["metric"] == "accuracy"].iterrows():
        family, kind, share = cell["cell"].split(", ")
        names = {"Stripes": "stripes", "Sums of stripes": "sos"}
        where = {
            "data.family": names.get(family, "sos+stripes"),
            "data.held_out.kind": kind,
            "data.subsample": float(share.removeprefix("λ = ")),
        }
        expected = means.mean(where)
        assert cell["mean"] == pytest.approx(expected.value, abs=0.005)
        assert cell["low"] == pytest.approx(expected.low, abs=0.01)
        chosen = rows[(rows[list(where)] == pd.Series(where)).all(axis=1)]
        assert cell["nearest"] == pytest.approx(chosen["null_nearest"].mean())
        assert cell["composed"] == 1
        assert cell["runs"] == len(chosen)


def test_cells_default_to_the_settings_that_differ():
    drawn = cells.draw(tables.intervention(matters=True)).panels["cells"]
    assert len(drawn) == 4
    one = tables.torus(factorized=True)
    assert cells.draw(one).panels["cells"]["cell"].to_list() == ["all runs"]


def test_cells_refuse_other_metrics_and_tables_without_counts():
    with pytest.raises(ValidationError, match="'train_loss' is not an accuracy"):
        cells.Options(y=["train_loss"])
    table = tables.intervention(matters=True)
    with pytest.raises(NotDrawableError, match="labels"):
        cells.draw(table.drop(columns="labels"))
    with pytest.raises(NotDrawableError, match="number of tested labels"):
        cells.draw(table.assign(labels=np.nan))


def test_atlas_shows_every_layer_time_and_step():
    table = tables.atlas(factorized=True)
    drawn = atlas.draw(table).panels["cells"]
    assert len(drawn) == 5 * 2
    last = drawn[(drawn["layer"] == "layer4") & (drawn["time"] == 900) & (drawn["step"] == 100)]
    expected = table.loc[table["last"], "layer4-t900/factorization"].mean()
    assert last["value"].item() == pytest.approx(expected)
    assert last["beyond"].item() == pytest.approx(expected - 0.24)
    assert last["runs"].item() == len(tables.SEEDS)


def test_atlas_needs_a_measure_beside_that_of_the_image():
    table = tables.atlas(factorized=True)
    with pytest.raises(NotDrawableError, match="dimension was not measured"):
        atlas.draw(table, atlas.Options(measure="dimension"))
    with pytest.raises(NotDrawableError, match="not measured"):
        atlas.draw(table.assign(last=False))


def test_percolation_says_how_far_models_go_beyond_the_null():
    needed = {0.5: 20.0, 1.0: 6.0}
    drawing = percolation.draw(tables.percolation(needed=needed))
    legend = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert "nearest example" in legend
    (said,) = [
        text.get_text()
        for text in drawing.figure.findobj(Text)
        if "Times fewer examples to 60 %" in text.get_text()
    ]
    ratios = [float(r) for r in re.findall(r"([\d.]+) \[", said)]
    assert ratios[1] / ratios[0] == pytest.approx(needed[0.5] / needed[1.0], rel=0.15)
