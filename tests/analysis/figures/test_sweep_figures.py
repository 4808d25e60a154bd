"""Figures: found by name, drawn from any table, saved completely and deterministically."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.figures.sweep import available, load
from analysis.plotting.figure_io import Drawing, save
from tests.helpers.synthetic_trials import trials

QUICK = {"realisations": 3}


def draw(table, **options):
    module = load("scaling")
    return module.draw(table, module.Options(**QUICK, **options))


def texts(drawing):
    """All text of the figure."""
    return " ".join(artist.get_text() for artist in drawing.figure.findobj(match=_is_text))


def _is_text(artist):
    return hasattr(artist, "get_text")


@pytest.mark.parametrize("name", ["scaling", "search", "curves", "maps"])  # others read records
def test_draw_states_required_columns(name):
    module = load(name)
    assert all(isinstance(column, str) for column in module.COLUMNS)
    drawing = module.draw(trials(sizes=(8, 12), seeds=(0, 1)))
    assert isinstance(drawing, Drawing)
    for column in module.COLUMNS:
        with pytest.raises(ValueError, match=f"^The table of trials lacks {column}; it has"):
            module.draw(trials(sizes=(8,)).drop(columns=column))


def test_load_unknown_figure_lists_available():
    assert "scaling" in available()
    assert not any(name.startswith("-") for name in available())
    found = r"^There is no 'scalign' among the figures: .*; did you mean 'scaling'\?$"
    with pytest.raises(ValueError, match=found):
        load("scalign")


def test_save_files_hold_the_drawing(tmp_path):
    drawing = draw(trials(sizes=(8, 12), seeds=(0, 1)))
    paths = save(drawing, tmp_path / "new" / "folder", "scaling")
    names = {"scaling.png", "scaling.pdf", *(f"scaling-{panel}.csv" for panel in drawing.panels)}
    assert {path.name for path in paths} == names
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == names
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert paths[1].read_bytes().startswith(b"%PDF")
    for panel, data in drawing.panels.items():
        path = tmp_path / "new" / "folder" / f"scaling-{panel}.csv"
        numbers = data.select_dtypes("number").columns
        back = pd.read_csv(path, keep_default_na=False, na_values={name: [""] for name in numbers})
        for column in data.columns:
            if column in numbers:
                np.testing.assert_array_equal(back[column], data[column])
            else:
                assert back[column].astype(str).tolist() == data[column].tolist()


def test_save_writes_same_bytes_for_same_table(tmp_path):
    written = []
    for name in ("first", "second"):
        drawing = draw(trials(sizes=(8, 12), seeds=(0, 1)))
        paths = save(drawing, tmp_path / name, "scaling")
        written.append({path.name: path.read_bytes() for path in paths})
    assert written[0] == written[1]


def test_save_keeps_old_file_on_error(tmp_path, monkeypatch):
    drawing = Drawing(figure=Figure(), panels={"a": pd.DataFrame({"x": [1]})})
    (tmp_path / "f.png").write_bytes(b"old")

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(drawing, tmp_path, "f")
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]
    assert (tmp_path / "f.png").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["", "../up", "A", "a b", "-a"])
def test_save_refuses_bad_file_names(tmp_path, name):
    with pytest.raises(ValueError, match=r"^The name"):
        save(Drawing(figure=Figure(), panels={}), tmp_path, name)
    with pytest.raises(ValueError, match=r"^The name"):
        save(Drawing(figure=Figure(), panels={name: pd.DataFrame()}), tmp_path, "good")


def test_scaling_panels_hold_drawn_numbers():
    table = trials(sizes=(8, 12), seeds=(0, 1))
    panels = draw(table).panels
    assert len(panels["trials"]) == len(table)
    assert set(panels["mass-ratio"]["threshold"]) == {0.05, 0.5}
    assert set(panels["predictions"]["size"]) == {8, 12}
    assert set(panels["crossings"]["count"]) == {"samples_2d", "samples_total"}
    exponent = panels["exponents"].set_index(["family", "count"])["exponent"]
    # The law is 2. Two seeds with a noise of 0.2 each make a standard error of 0.2 / log(12 / 8).
    assert exponent["bump", "samples_2d"] == pytest.approx(2, abs=1)  # two of them


def test_scaling_draw_names_its_lines():
    text = texts(draw(trials(sizes=(8, 12), seeds=(0, 1))))
    for part in ("Bumps + stripes", "slope 1", "slope 2", "N = 12", "overlap > 0.05", "100.0 %"):
        assert part in text


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (trials(sizes=(8,)), "N = 8 alone, no exponent"),
        (trials(sizes=(8, 12), lambdas=(0.03, 0.2)), "interval open below"),
        (trials(sizes=(8, 12), lambdas=(0.1, 1.0)), "above 60 % already at the smallest"),
        (trials(sizes=(8, 12), lambdas=(0.1,)), "Bumps: no crossing"),
        (trials(sizes=(8,), laws={"bump": (0.1, 2.0)}).head(1), "one trial"),
        (trials(sizes=(8, 12), laws={"sos": (0.1, 2.0)}), "Sums of stripes"),
    ],
)
def test_scaling_draw_says_what_is_missing(table, said):
    drawing = draw(table)
    drawing.figure.draw_without_rendering()  # raises where the layout warns
    text = texts(drawing).replace("\n", " ")
    if len(table) > 1:
        assert said in text
    else:
        assert "no crossing" in text


def test_scaling_draw_counts_trials_without_accuracy():
    table = trials(sizes=(8, 12), seeds=(0, 1))
    table.loc[:4, "accuracy"] = np.nan
    assert "5 trials without an accuracy" in texts(draw(table)).replace("\n", " ")


def test_scaling_draw_refuses_bad_tables():
    table = trials(sizes=(8,))
    with pytest.raises(ValueError, match=r"^accuracy was not measured in any trial"):
        draw(table.assign(accuracy=np.nan))
    with pytest.raises(ValueError, match=r"^accuracy was not measured in any trial"):
        draw(table.head(0))
    with pytest.raises(ValueError, match=r"^data\.spacing differs between trials"):
        draw(table.assign(**{"data.spacing": [0.5, 1.0] * 21}))
    with pytest.raises(ValueError, match="thresholds"):
        draw(table, thresholds=())


def test_scaling_draw_refuses_to_average_other_settings():
    table = trials(sizes=(8, 12), seeds=(0, 1))
    table["training.steps"] = np.where(table["seed"] == 0, 100, 200)
    with pytest.raises(ValueError, match=r"training.steps differs between trials \(100, 200\)"):
        draw(table)


def test_search_narrows_run_by_run_to_the_known_crossing():
    laws = {"bump": (0.1, 2.0), "bump+stripes": (0.05, 2.0)}
    table = trials(sizes=(8, 16), laws=laws).sample(frac=1, random_state=0)
    drawing = load("search").draw(table)
    found = drawing.panels["intervals"]
    for (family, size), rows in found.groupby(["family", "size"]):
        assert rows["run"].tolist() == list(range(1, len(rows) + 1))
        last = rows.iloc[-1]
        prefactor, exponent = laws[family]
        # 90 % intervals; three times their half width is exceeded in one of a million.
        half = np.log(last["high"] / last["low"]) / 2
        assert abs(np.log(last["middle"] / (prefactor * size**exponent))) < 3 * half
        assert half < 0.5 * np.log(rows.iloc[0]["high"] / rows.iloc[0]["low"]) / 2
    assert len(drawing.panels["runs"]) == len(table)


@pytest.mark.parametrize(
    ("setting", "lead"), [("training.steps", "data.size"), ("training.batch_size", "data.family")]
)
def test_scaling_allows_settings_that_follow(setting, lead):
    table = trials(sizes=(8, 12), seeds=(0, 1))
    table[setting] = table[lead].rank(method="dense") * 32
    assert len(draw(table).panels["trials"]) == len(table)
    table.loc[0, setting] = 7
    with pytest.raises(ValueError, match=f"^{setting} differs between trials"):
        draw(table)


def test_search_draws_the_posterior_of_the_scaling_figure_run_by_run():
    table = trials(sizes=(8, 12), seeds=(0, 1)).sample(frac=1, random_state=0)
    panels = load("search").draw(table).panels
    crossings = draw(table).panels["crossings"]
    for row in crossings[crossings["count"] == "samples_2d"].itertuples():
        found = panels["intervals"]
        mine = found[(found["family"] == row.family) & (found["size"] == row.size)]
        assert mine["run"].tolist() == list(range(1, 15))
        # The order of the runs makes a difference in the last digits of float32.
        assert mine["middle"].iloc[-1] == pytest.approx(row.value, rel=1e-3)
        assert row.low < mine["low"].iloc[-1] < mine["high"].iloc[-1] < row.high
        width = mine["high"] / mine["low"]
        assert width.iloc[-1] < 0.5 * width.iloc[0]
