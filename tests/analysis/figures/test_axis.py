"""Figures over any axis: missing values, booleans, words, pairs, regions, thousands of values."""

import itertools

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.errors import NotDrawableError
from analysis.figures.sweep import curves, load, maps, phases
from analysis.plotting import axis_labels, figure_io
from analysis.plotting.axis import Places
from analysis.plotting.style import line_style
from factorlab.parsing import flatten, setting_keys

KINDS = {
    "missing": ("data.margin", [None, 5.0, 8.0]),
    "missing alone": ("data.margin", [None]),
    "missing and one": ("data.margin", [8.0, None]),
    "missing, far apart": ("data.margin", [0.1, None, 1.0, 1000.0]),
    "missing share": ("training.stripe_share", [0.3, 0.6, None]),
    "zero, far apart": ("training.ema", [0.0, 0.9, 0.01]),
    "booleans": ("data.periodic", [False, True]),
    "words": ("data.family", ["bump", "sos", "bump+stripes", "sos+stripes", "stripes"]),
    "pairs": ("data.sigma", [(0.5, 1.0), (1.0, 0.5)]),
    "mixed": ("data.sigma", [10.0, (0.5, 1.0), 2.0]),
    "lists": ("evaluation.at", [(), (0,), tuple(range(100)), tuple(range(101))]),
    "close": ("data.subsample", [0.9000001, 0.9000002, 1.0]),
    "whole": ("training.steps", [100, 1000, 320_000]),
    "layers": ("representations.layers", [(), ("layer3", "layer4")]),
    "hundreds": ("data.subsample", [i / 150 for i in range(1, 151)]),
    "hundreds and missing": ("data.margin", [None, *range(1, 150)]),
    "hundreds of words": ("evaluation.at", [(i, 0) for i in range(150)]),
}
REGIONS = [
    None,
    {"kind": "box", "width": 2.0, "place": "interior", "centre": None},
    {"kind": "lesion", "width": 2.0, "place": "interior", "centre": [3.0, 3.0]},
    {"kind": "rim", "width": 1.0, "place": "interior", "centre": None},
]


def trial(index, settings, *, steps=(0, 10), seed=0):
    """The rows of a finished trial, as in `steps_table`."""
    row = flatten({"data": {"family": "bump", "size": 8, "periodic": False}} | settings)
    if row.get("data.held_out", "") is None:
        del row["data.held_out"]
    number = index if isinstance(index, int) else len(index)
    measures = {"accuracy": 0.5, "ceiling": 0.9, "train_loss": 0.1 * (1 + number % 7)}
    measures["layer4/phase"] = "ABC"[number % 3]
    key = {"key": f"{index}-{seed}", "state": "done", "seed": seed}
    return [key | row | measures | {"step": step, "last": step == steps[-1]} for step in steps]


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def table_of(key, values, seeds=(0, 1), **changes):
    return pd.DataFrame(
        [
            row
            for (index, value), seed in itertools.product(enumerate(values), seeds)
            for row in trial(index, nested(key, value), seed=seed, **changes)
        ]
    )


def regions(seeds=(0, 1)):
    return table_of("data.held_out", REGIONS, seeds)


def ticks(axis):
    """The words that are drawn on an axis."""
    return [text.get_text() for text in axis.get_ticklabels() if text.get_text()]


def check_drawn(drawn, folder):
    """Assert that the figure can be saved and that no two labels of an axis touch."""
    figure_io.save(drawn, folder, "figure", ["png"])
    FigureCanvasAgg(drawn.figure)
    drawn.figure.draw_without_rendering()
    for axes in drawn.figure.axes:
        assert axes.get_xlabel() != axes.get_ylabel() or not axes.get_xlabel()
        for axis, side in ((axes.xaxis, 0), (axes.yaxis, 1)):
            drawn_labels = [t for t in axis.get_ticklabels() if t.get_text() and t.get_visible()]
            if any(text.get_rotation() for text in drawn_labels):
                boxes = [
                    text.get_transform().transform(text.get_position()) for text in drawn_labels
                ]
                edges = sorted((b[side], b[side] + 8) for b in boxes)  # the height of a line
            else:
                boxes = [text.get_window_extent() for text in drawn_labels]
                edges = sorted((box.min[side], box.max[side]) for box in boxes)
            gaps = [low - high for (_, high), (low, _) in itertools.pairwise(edges)]
            assert min(gaps, default=1) > 0, [text.get_text() for text in drawn_labels]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [{}, {"x": "KEY"}, {"x": "step", "lines": ["KEY"]}, {"x": "seed", "lines": ["KEY"]},
     {"x": "KEY", "y": ["accuracy", "train_loss"], "lines": ["seed"]},
     {"x": "KEY", "lines": ["KEY"]}],
    ids=str,
)  # fmt: skip
def test_curves_draw_over_any_axis(tmp_path, kind, options):
    key, values = KINDS[kind]
    seeds = (0, 1) if len(values) < 100 else (0,)
    drawn = curves.draw(table_of(key, values, seeds), chosen(curves, options, key))
    check_drawn(drawn, tmp_path)
    means = drawn.panels["means"]
    if options.get("x") == "KEY":
        assert means["x"].nunique() == len(values)
        assert drawn.figure.axes[-1].get_xlabel() == axis_labels.setting(key)
    if options.get("lines") == ["KEY"]:
        assert means["line"].nunique() == len(values)
    if None in values and len(values) < 100 and options.get("x") == "KEY":
        for axes in drawn.figure.axes:
            assert ticks(axes.xaxis).count("none") == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [{"y": "KEY"}, {"x": "KEY", "y": "step"}, {"x": "KEY", "y": "seed", "seeds": "best"},
     {"y": "seed", "panels": ["KEY"], "colour": ["accuracy", "train_loss"]}],
    ids=str,
)  # fmt: skip
def test_maps_draw_over_any_axis(tmp_path, kind, options):
    key, values = KINDS[kind]
    seeds = (0, 1) if len(values) < 100 else (0,)
    table = table_of(key, values, seeds)
    if "panels" in options and len(values) > 100:
        with pytest.raises(NotDrawableError, match=r"^300 panels do not fit .* up to 60"):
            maps.draw(table, chosen(maps, options, key))
        return
    drawn = maps.draw(table, chosen(maps, options, key))
    check_drawn(drawn, tmp_path)
    for place in ("x", "y"):
        if options.get(place) == "KEY":
            assert drawn.panels["cells"][place].nunique() == len(values)
    if None in values and len(values) < 100 and "panels" not in options:
        axis = (
            drawn.figure.axes[0].xaxis if options.get("x") == "KEY" else drawn.figure.axes[0].yaxis
        )
        assert ticks(axis).count("none") == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen_y", [True, False])
def test_phases_draw_over_any_axis(tmp_path, kind, chosen_y):
    key, values = KINDS[kind]
    seeds = (0, 1) if len(values) < 100 else (0,)
    options = phases.Options(y=key) if chosen_y or len(values) == 1 else phases.Options()
    drawn = phases.draw(table_of(key, values, seeds), options)
    check_drawn(drawn, tmp_path)
    assert drawn.panels["phases"]["y"].nunique() == len(values)


@pytest.mark.parametrize("steps", [range(2), range(30), range(0, 320_001, 1600)], ids=len)
@pytest.mark.parametrize("figure", ["curves", "maps", "phases"])
def test_draw_any_number_of_steps(tmp_path, figure, steps):
    module = load(figure)
    table = table_of("data.sigma", [0.5, 1.0, 2.0], steps=steps)
    options = {"x": "step"} if figure == "curves" else {}
    check_drawn(module.draw(table, module.Options(**options)), tmp_path)


@pytest.mark.parametrize("key", ["data.subsample", "data.margin", "evaluation.at"])
def test_draw_thousands_of_values_on_an_axis(tmp_path, key):
    values = {
        "data.subsample": [i / 2000 for i in range(1, 2001)],
        "data.margin": [None, *range(1, 2000)],
        "evaluation.at": [(i, 0) for i in range(2000)],
    }[key]
    table = table_of(key, values, seeds=(0,))
    check_drawn(curves.draw(table), tmp_path)
    check_drawn(maps.draw(table), tmp_path)
    check_drawn(phases.draw(table), tmp_path)


@pytest.mark.parametrize(
    ("figure", "options"),
    [
        ("curves", {}),
        ("curves", {"x": "data.held_out.width"}),
        ("curves", {"x": "data.held_out.kind", "lines": ["data.held_out.width"]}),
        ("curves", {"x": "data.held_out.centre"}),
        ("curves", {"x": "step", "panels": ["data.held_out.kind"]}),
        ("maps", {}),
        ("maps", {"x": "data.held_out.width", "y": "data.held_out.kind"}),
        ("phases", {}),
    ],
)
def test_draw_held_out_regions_beside_none(tmp_path, figure, options):
    module = load(figure)
    drawn = module.draw(regions(), module.Options(**options))
    check_drawn(drawn, tmp_path)
    words = [text.get_text() for text in drawn.figure.findobj(lambda a: hasattr(a, "get_text"))]
    assert any("none" in word or "nothing held out" in word for word in words)
    assert not any("nan" in word.lower() for word in words)
    assert not any("nothing held out, nothing" in word for word in words)


@pytest.mark.parametrize("figure", ["curves", "maps", "phases"])
def test_draw_leaves_room_beside_long_words(tmp_path, figure):
    module = load(figure)
    regions_of = [
        row
        for (index, region), sigma, share in itertools.product(
            enumerate(REGIONS), (1.0, [0.5, 1.0]), (None, 0.5)
        )
        for row in trial(
            f"{index}-{sigma}-{share}",
            {"data": {"held_out": region, "sigma": sigma}, "training": {"stripe_share": share}},
        )
    ]
    drawn = module.draw(pd.DataFrame(regions_of))
    check_drawn(drawn, tmp_path)
    for axes in drawn.figure.axes[:1]:
        # A panel has 3.4 inches; its labels are laid out for 2.7 of them.
        assert axes.get_window_extent().width > 2.5 * drawn.figure.dpi


def chosen(module, options, key):
    text = {"KEY": key}
    filled = {
        name: text.get(value, value)
        if isinstance(value, str)
        else [text.get(part, part) for part in value]
        for name, value in options.items()
    }
    return module.Options(**filled)


def test_curves_draw_missing_value_apart_from_numbers():
    drawn = curves.draw(table_of("data.margin", [None, 5.0, 8.0]))
    (axes,) = drawn.figure.axes
    means = drawn.panels["means"]
    assert means["x"].to_list() == ["none", 5.0, 8.0]
    curve, *_ = (
        line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    )
    assert list(curve.get_xdata()) == [5.0, 8.0]  # the missing value is not on it
    assert ticks(axes.xaxis) == ["none", "5", "8"]
    assert axes.get_xticks()[0] < 5 < 8


@given(
    numbers=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=12, unique=True),
    zero=st.booleans(),
    missing=st.booleans(),
)
def test_places_of_sorts_values_missing_first(numbers, zero, missing):
    values = [*numbers, *([0.0] if zero else []), *(["none"] if missing else [])]
    places = Places.of(values)
    order = places.order()
    assert len({*places.at.values()}) == len(values)
    assert order[missing:] == sorted([*numbers, *([0.0] if zero else [])])
    assert (order[0] == "none") == missing
    if places.log and 0 not in places.at:
        assert places.at[order[0]] > 0


@given(st.lists(st.none() | st.floats(0.001, 1000) | st.tuples(st.floats(1, 9), st.floats(1, 9))))
def test_distinct_words_for_different_values(values):
    words = axis_labels.distinct(values)
    assert len(set(words)) == len({str(value) for value in values})
    assert all(len(word) <= axis_labels.LONGEST for word in words)


def test_line_style_differs_for_24_curves():
    styles = [line_style(index) for index in range(24)]
    assert len(set(styles)) == len(styles)


@pytest.mark.parametrize("key", list(setting_keys()))
def test_setting_has_a_name_for_every_key(key):
    assert axis_labels.setting(key) != key


@pytest.mark.parametrize("figure", ["scaling", "percolation"])
def test_draw_calls_missing_setting_none(figure):
    module = load(figure)
    table = table_of("data.margin", [None, 5.0])
    table = table.assign(**dict.fromkeys(module.COLUMNS, 1.0) | {"last": True})
    table["data.margin"] = [None, None, None, None, 5.0, 5.0, 5.0, 5.0]
    with pytest.raises(NotDrawableError, match=r"data.margin differs between trials \(5.0, none\)"):
        module.draw(table)


def test_percolation_draw_refuses_uneven_sigma():
    module = load("percolation")
    table = table_of("data.sigma", [(0.5, 1.0), 1.0]).assign(**{"data.spacing": 0.5})
    table = table.assign(**{"data.subsample": 1.0, "data.size": 8})
    with pytest.raises(NotDrawableError, match=r"^data.sigma is \(0.5, 1.0\) in a trial, but"):
        module.draw(table)
