"""Galleries drawn from the records of real trials: views, samples and training sets."""

import numpy as np
import pytest

from analysis import training_dynamics
from analysis.figures.sweep import available, load, options_of
from analysis.measures import measurement_cache
from analysis.tables.loading import steps_table
from factorlab.storage.files import DamagedFile
from factorlab.trial import Trial
from tests.helpers.rounding import EXACT, gamma
from tests.helpers.settings import analysed_run

CROSS = {"kind": "cross", "width": 1.0}


def settings_of(**data):
    stripes = {"family": "sos+stripes", "margin": 4.0}
    return analysed_run(data=stripes | data, evaluation={"samples": 16, "keep": 4})


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """Two finished trials, the second with a cross held out, and one that was not started."""
    runs = tmp_path_factory.mktemp("galleries")
    regions = (None, CROSS, CROSS | {"width": 2.0})
    made = [Trial(settings_of(held_out=region), runs) for region in regions]
    for trial in made[:2]:
        list(trial.run())
    for _ in training_dynamics.analyse(made[0].record):
        pass
    return made


@pytest.fixture(scope="module")
def table(trials):
    return steps_table(
        trials[0].record.path.parents[1],
        {trial.identity.key: trial.settings.model_dump(mode="json") for trial in trials},
    )


def test_steps_table_row_for_each_trial_and_step(trials, table):
    keys = [trial.identity.key for trial in trials]
    assert table["key"].to_list() == [keys[0], keys[0], keys[1], keys[1], keys[2]]
    assert table["step"].to_list()[:4] == [0, 4, 0, 4]
    assert table["last"].to_list() == [False, True, False, True, False]
    assert table["state"].to_list() == ["done"] * 4 + ["new"]
    result = trials[0].record.result()
    assert table["accuracy"][1] == result["metrics"]["accuracy"]
    assert table["data.held_out.width"].to_list()[2:] == [1.0, 1.0, 2.0]
    assert table["layer4/dimension"].notna().to_list() == [True, True, False, False, False]
    untrained = table["layer4/null_untrained_dimension"]
    assert untrained[0] == untrained[1] > 1
    assert untrained.isna().to_list()[2:] == [True] * 3
    assert table["layer4/null_image_dimension"].nunique() == 1
    assert not [name for name in table if "null_untrained_null" in name or "cka_image_null" in name]
    assert table["null_nearest"].between(0, 1).to_list() == [True] * 4 + [False]
    assert "data.held_out" not in table


def test_measurement_cache_read_returns_what_was_measured(trials):
    record = trials[0].record
    kept = measurement_cache.read(record.path, "layer4", 4)
    assert kept.scores.shape == (64, measurement_cache.SCORES)
    assert kept.embedding.shape == (64, 3)
    assert len(kept.diagrams) == 3
    numbers = training_dynamics.table(record).set_index("step").loc[4]
    assert kept.shares[:4].sum() == pytest.approx(numbers["variance_top_four"], rel=gamma(5))
    assert measurement_cache.read(record.path, "layer4", 3) is None


def test_views_draw_shows_measured_and_counts_missing(table):
    views = load("views")
    options = {"rows": "data.held_out.width", "columns": "step"}
    drawing = views.draw(table, options_of(views, options))
    points = drawing.panels["points"]
    assert len(points) == 2 * 64
    assert set(points["column"]) == {"step = 0", "step = 4"}
    text = " ".join(t.get_text() for t in drawing.figure.findobj(lambda a: hasattr(a, "get_text")))
    assert "2 cells have nothing to show" in text
    assert "1 of 3 trials are unfinished" in text.replace("\n", " ")
    with pytest.raises(ValueError, match=r"^layer3 has not been measured"):
        views.draw(table, options_of(views, {"layer": "layer3"}))


def test_formation_draw_shows_each_step_of_one_trial(trials, table):
    formation = load("formation")
    panels = formation.draw(table).panels
    for step in (0, 4):
        kept = measurement_cache.read(trials[0].record.path, "layer4", step)
        of_step = {name: rows[rows["step"] == step] for name, rows in panels.items()}
        np.testing.assert_array_equal(of_step["spectra"]["share"], kept.shares)
        assert len(of_step["holes"]) == sum(map(len, kept.diagrams))
        # Tables of points have four decimals.
        shown, half = of_step["points"]["component_4"], 0.5e-4 + EXACT
        np.testing.assert_allclose(shown, kept.scores[:, 3], rtol=0, atol=half)
    with pytest.raises(ValueError, match=r"^layer4 has not been measured in a trial with seed 1"):
        formation.draw(table, options_of(formation, {"seed": 1}))


def test_phases_draw_shows_measured_phases(trials, table):
    phases = load("phases")
    fields = phases.draw(table).panels["phases"]
    expected = training_dynamics.table(trials[0].record)["phase"].to_list()
    assert fields["phase"].to_list() == expected
    assert fields["step"].to_list() == [0, 4]
    with pytest.raises(ValueError, match="layer3/phase: not measured in any trial"):
        phases.draw(table, options_of(phases, {"layer": "layer3"}))


def test_samples_draw_shows_labels_of_record(trials, table):
    samples = load("samples")
    labels = samples.draw(table, options_of(samples, {"columns": "step"})).panels["labels"]
    with np.load(trials[0].record.samples / "step-0000000004.npz") as file:
        kept = file["labels"]
    last = labels[labels["step"] == 4]
    np.testing.assert_array_equal(last[["x", "y"]], kept)


def test_datasets_draw_shows_training_set(trials, table):
    datasets = load("datasets")
    options = options_of(datasets, {"columns": "data.held_out.width"})
    labels = datasets.draw(table, options).panels["labels"]
    for trial, (_, found) in zip(trials[:2], labels.groupby("column", sort=False), strict=True):
        config = trial.record.config()
        assert len(found) == config["samples_total"]
        assert (found["kind"] == "2D").sum() == config["samples_2d"]
    held_out = labels[(labels["column"] == "W = 1") & (labels["kind"] == "2D")]
    assert (abs(held_out[["x", "y"]] - 3.5) > 0.5).all(axis=None)


def test_draw_names_missing_column(table):
    for name in available():
        module = load(name)
        for column in module.COLUMNS:
            with pytest.raises(ValueError, match=f"^The table of trials lacks .*{column}"):
                module.draw(table.drop(columns=column, errors="ignore"), module.Options())


def test_measurement_cache_read_names_damaged_file(trials, tmp_path):
    folder = tmp_path / "analysis" / "layer4"
    folder.mkdir(parents=True)
    source = trials[0].record.analysis / "layer4" / "step-0000000004.npz"
    (folder / source.name).write_bytes(source.read_bytes()[:-200])
    with pytest.raises(DamagedFile, match=r"step-0000000004\.npz"):
        measurement_cache.read(tmp_path, "layer4", 4)
