"""Tables on the pages of results hold the numbers of the CSV files beside them."""

import re
from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def table(page, corner, second=""):
    """Return the body of the table whose header starts with these cells, by first cell."""
    text = (RESULTS / f"{page}.md").read_text("utf-8")
    head = rf"^\| ?{re.escape(corner)} ?\| ?{re.escape(second)}.*\|\n\|[-| ]+\|\n"
    (block,) = re.findall(rf"{head}((?:\|.*\n)+)", text, re.M)
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in block.splitlines()]
    return {first: rest for first, *rest in rows}


def read(path):
    return pd.read_csv(RESULTS / path)


def percent(value):
    return f"{100 * value:.0f} %"


def interval(row, digits=1):
    return f"{row.value:.{digits}f} [{row.low:.{digits}f}, {row.high:.{digits}f}]"


def only(frame):
    (row,) = frame.itertuples()
    return row


def cells(path, metric, **keys):
    """Return the mean of a metric in one row of a table of means."""
    frame = read(path)
    frame = frame[frame["metric"] == metric]
    for column, value in keys.items():
        frame = frame[frame[column] == value]
    return only(frame).mean


SCALING = "scaling/scaling-laptop"
FAMILIES = {"bumps": "bump", "bumps + stripes": "bump+stripes"}


@pytest.mark.parametrize("name", FAMILIES)
def test_crossings_and_exponents_of_scaling(name):
    found = table("scaling", "", "N = 7 | N = 10 | N = 14 | N = 20 | exponent")[name]
    crossings, fits = read(f"{SCALING}-crossings.csv"), read(f"{SCALING}-exponents.csv")
    crossings, fit = (
        frame[(frame["family"] == FAMILIES[name]) & (frame["count"] == "samples_2d")]
        for frame in (crossings, fits)
    )
    fit = only(fit.rename(columns={"exponent": "value"}))
    expected = [interval(row) for row in crossings.itertuples()]
    assert found == [*expected, interval(fit, 2), f"{fit.odds:.0f}"]


def test_null_model_and_percolation_of_scaling():
    rows = table("scaling", "", "N = 7 | N = 10 | N = 14 | N = 20 | exponent")
    ratios = read(f"{SCALING}-advantages.csv").query("family == 'bump' and size > 0")
    assert rows["drawing the nearest example"][:4] == [f"{value:.0f}" for value in ratios["null"]]
    simulated = read(f"{SCALING}-predictions.csv")
    fits = read(f"{SCALING}-prediction-exponents.csv").rename(columns={"exponent": "value"})
    for threshold in (0.5, 0.05):
        found = rows[f"percolation, overlap above {threshold}"]
        values = simulated.loc[simulated["threshold"] == threshold, "value"]
        assert [float(cell) for cell in found[:4]] == [
            float(f"{value:.{len(cell.partition('.')[2])}f}")
            for cell, value in zip(found, values, strict=False)
        ]
        assert found[4] == interval(only(fits[fits["threshold"] == threshold]), 2)


LINES = {
    "2D": "Sums of stripes, cross",
    "1D": "Stripes, cross",
    "2D + 1D": "Sums of stripes + stripes, cross",
}
REGIONS = ("in_distribution", "arm_vertical", "arm_horizontal", "intersection")


@pytest.mark.parametrize(
    ("row", "line", "share"),
    [
        *((name, line, 1.0) for name, line in LINES.items()),
        ("2D + 1D, lambda = 0.1", LINES["2D + 1D"], 0.1),
        ("2D, lambda = 0.1", LINES["2D"], 0.1),
    ],
)
def test_composition(row, line, share):
    path = "composition/accuracy-laptop-means.csv"
    found = [cells(path, f"accuracy_{region}", line=line, x=share) for region in REGIONS]
    assert table("composition", "trained on")[row][1:] == [percent(value) for value in found]


@pytest.mark.parametrize(
    ("row", "metric"),
    [
        ("accuracy inside", "accuracy_out_of_distribution"),
        ("accuracy outside", "accuracy_in_distribution"),
    ],
)
def test_interpolation(row, metric):
    path = "interpolation/accuracy-laptop-means.csv"
    found = [percent(cells(path, metric, x=width)) for width in (0.5, 1, 2, 3, 4, 6)]
    assert table("interpolation", "width of the lesion, in pixels")[row] == found


@pytest.mark.parametrize("line", ["Bumps", "Sums of stripes"])
@pytest.mark.parametrize(("place", "panel"), [("middle", "interior"), ("corner", "exterior")])
def test_holdout(line, place, panel):
    path, metric = "holdout/accuracy-laptop-means.csv", "accuracy_out_of_distribution"
    found = [percent(cells(path, metric, line=line, panel=panel, x=side)) for side in range(1, 6)]
    assert table("holdout", "", "side 1")[f"{line.lower()}, {place}"] == found


@pytest.mark.parametrize("increment", ["0.25", "0.5", "1"])
def test_spread(increment):
    path = "spread/final-laptop-means.csv"
    sigmas = (0.1, 0.25, 0.5, 0.75, 1)
    found = [percent(cells(path, "accuracy", line=f"d = {increment}", x=x)) for x in sigmas]
    assert table("spread", "increment")[increment] == found


@pytest.mark.parametrize("increment", ["0.25", "1", "2", "3.5"])
def test_imbalance(increment):
    frame = read("imbalance/course-laptop-means.csv")
    frame = frame[frame["line"] == f"d = 0.25 x {increment}"]
    curves = [frame[frame["metric"] == f"accuracy_{axis}"].set_index("x")["mean"] for axis in "xy"]
    found = [[curve[when] for curve in curves] for when in (100, 450)]
    found.insert(1, [curve.mean() for curve in curves])
    expected = [f"{100 * x:.0f}, {percent(y)}" for x, y in found]
    assert table("imbalance", "increment along y")[increment] == expected


@pytest.mark.parametrize("sigma", ["0.25", "0.5", "0.7", "1.0"])
def test_percolation(sigma):
    frame = read("percolation/accuracy-laptop-accuracy.csv")
    found = frame[frame["sigma"] == float(sigma)].sort_values("subsample")["mean"]
    assert table("percolation", "sigma")[sigma] == [percent(value) for value in found]


@pytest.mark.parametrize("side", ["2.75", "4.75", "7.75"])
def test_holes(side):
    frame = read("holes/course-laptop-means.csv")
    frame = frame[(frame["line"] == f"W = {side}") & (frame["x"] == frame["x"].max())]
    inside = only(frame[frame["metric"] == "accuracy_out_of_distribution"])
    around = only(frame[frame["metric"] == "accuracy_in_distribution"])
    found = table("holes", "side")[side]
    assert [cell.partition(" [")[0] for cell in found] == [
        percent(value) for value in (inside.mean, around.mean, inside.null)
    ]


@pytest.mark.parametrize(("row", "share"), [("22 examples", "0.06"), ("29 examples", "0.08")])
def test_intervention(row, share):
    frame = read("intervention/accuracy-laptop-cells.csv").query("metric == 'accuracy'")
    frame = frame.set_index("cell")["mean"]
    found = [frame[f"λ = {share}, {kind}"] for kind in ("connected", "fragmented")]
    assert table("intervention", "accuracy")[row] == [percent(value) for value in found]


@pytest.mark.parametrize(
    ("row", "cell"),
    [
        ("all stripes", "all stripes"),
        ("without those of the cross", "gap of 3"),
        ("without as many others", "gap of 3, at 2.5"),
    ],
)
def test_full_range(row, cell):
    frame = read("full-range/accuracy-laptop-cells.csv")
    frame = frame[frame["cell"] == cell].set_index("metric")
    found = [frame.loc[f"accuracy_{region}"] for region in REGIONS]
    assert table("full-range", "accuracy")[row] == [
        f"{percent(one['mean'])} [{100 * one['low']:.0f}, {100 * one['high']:.0f}]" for one in found
    ]


def test_phases():
    frame = read("phases/course-laptop-trials.csv")
    means = frame.groupby(["metric", "x"])["value"].mean()
    shares = ("accuracy", "share_none", "share_misplaced", "share_several")
    for step, (*found, dimension, _) in table("phases", "step").items():
        expected = [percent(means[metric, int(step)]) for metric in shares]
        assert found == expected
        assert dimension == f"{means['layer4/dimension', int(step)]:.1f}"


def test_atlas():
    frame = read("atlas/atlas-laptop-cells.csv")
    images = frame.groupby("layer")["image"].first()
    page = (RESULTS / "atlas.md").read_text("utf-8")
    for layer, number in (("layer2", "0.13"), ("layer3", "0.23"), ("layer4", "0.21")):
        assert f"{images[layer]:.2f}" == number
        assert number in page
    last = frame[(frame["step"] == frame["step"].max()) & (frame["layer"] == "layer4")]
    by_time = last.set_index("time")["value"]
    assert f"It ends at {by_time[0]:.2f}, where its image has {images['layer4']:.2f}" in page
