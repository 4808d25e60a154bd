"""The HTML report in a browser: table, filter, details, charts and views."""

import json
import re

import pandas as pd
import pytest

from tests.browser.conftest import HOSTILE
from tests.sweeps.reporting import synthetic_records


@pytest.fixture(scope="module")
def values(report):
    """The data of the page, as a table: one row per run, one column per setting or metric."""
    text = re.search(r'id="data">(.*?)</script>', report.read_text(), re.S)[1]
    document = json.loads(text)
    return pd.DataFrame(
        {
            column["id"]: column["values"] * (document["runs"] if len(column["values"]) == 1 else 1)
            for column in document["columns"]
        }
    )


def names(page):
    """Return the names of the runs in the table, in its order."""
    return page.locator("tr[data-run] th button").all_inner_texts()


def type_filter(page, text):
    """Type a filter and wait until it is applied."""
    page.fill("#filter", text)
    page.wait_for_timeout(300)


def column(page, name):
    """Return the texts of a column of the table."""
    heads = page.locator("#run-table thead th")
    ids = heads.evaluate_all("cells => cells.map(cell => cell.dataset.column)")
    cells = page.locator(f"tr[data-run] > *:nth-child({ids.index(name) + 1})")
    return cells.all_inner_texts()


def test_report_has_every_run_with_its_samples(visit, report, values):
    page = visit(report)
    assert names(page) == list(values["name"])
    assert page.inner_text("#count") == "18 of 18 runs"
    page.wait_for_function("document.querySelectorAll('img.thumb[src]').length > 3")
    assert page.locator("img.thumb").count() == 15
    loaded = page.locator("img.thumb[src]").evaluate_all(
        "images => images.map(image => image.complete && image.naturalWidth)"
    )
    assert set(loaded) == {18}  # 3 x 3 images of 6 pixels


def test_report_shows_hostile_texts_as_texts(visit, report):
    page = visit(report)
    assert HOSTILE in page.inner_text(".lead")
    assert HOSTILE in page.inner_text("#failures td.words")
    page.locator("tr[data-run]", has_text="failed").locator("button").click()
    assert HOSTILE in page.inner_text(".details .note")
    assert page.title() != "taken"
    assert page.locator("img[src=x]").count() == 0


def test_sort_by_click_and_by_keyboard(visit, report, values):
    page = visit(report)
    button = page.locator("th[data-column=accuracy] button")
    button.click()
    ordered = values.sort_values("accuracy", kind="stable", na_position="last")
    assert names(page) == list(ordered["name"])
    assert page.get_attribute("th[data-column=accuracy]", "aria-sort") == "ascending"
    button.focus()
    page.keyboard.press("Enter")
    ordered = values.sort_values("accuracy", ascending=False, kind="stable", na_position="last")
    assert names(page) == list(ordered["name"])
    assert page.get_attribute("th[data-column=accuracy]", "aria-sort") == "descending"
    assert page.locator("[aria-sort]").count() == 1


FILTERS = {
    "accuracy > 0.6 family:bump": lambda t: (
        (t["accuracy"] > 0.6) & t["data.family"].str.contains("bump", regex=False)
    ),
    "family=bump": lambda t: t["data.family"] == "bump",
    "data.sigma <= 1 seed!=0": lambda t: (t["data.sigma"] <= 1) & (t["seed"] != 0),
    "accuracy>=40%": lambda t: t["accuracy"] >= 0.4,
    "-state:done": lambda t: t["state"] != "done",
    "state=failed or sigma = 2 seed=1": lambda t: (
        (t["state"] == "failed") | ((t["data.sigma"] == 2) & (t["seed"] == 1))
    ),
    "accuracy=none": lambda t: t["accuracy"].isna(),
    "accuracy<1e-3 or 0.5": lambda t: (t["accuracy"] < 1e-3) | (t["data.sigma"] == 0.5),
    '"σ2.0 s1"': lambda t: t["name"].str.contains("σ2.0 s1", regex=False),
    "nothing-like-this": lambda t: t["accuracy"] > 9,
    "": lambda t: t["seed"] >= 0,
}


def test_filter_agrees_with_pandas(visit, report, values):
    page = visit(report)
    for text, expected in FILTERS.items():
        type_filter(page, text)
        wanted = values[expected(values)]["name"]
        assert names(page) == list(wanted), text
        assert page.inner_text("#count") == f"{len(wanted)} of 18 runs", text


MISTAKES = {
    "precision > 1": 'There is no column "precision"',
    "accur > 1": "did you mean accuracy",
    "batch_size = 4": "may be",
    "accuracy > high": "needs a number",
    "family > 2": "has texts",
    "seed=": "a value is missing",
}


def test_filter_with_mistake_says_so_and_changes_nothing(visit, report):
    page = visit(report)
    for text, problem in MISTAKES.items():
        type_filter(page, text)
        assert problem in page.inner_text("#filter-problem"), text
        assert page.get_attribute("#filter", "aria-invalid") == "true"
        assert page.locator("tr[data-run]").count() == 18
    type_filter(page, "width = 4")
    assert page.inner_text("#filter-problem") == ""
    assert page.get_attribute("#filter", "aria-invalid") == "false"


def test_columns_can_be_chosen(visit, report, values):
    page = visit(report)
    page.click("#chooser summary")
    page.check("#column-choices input[value=validation_loss]")
    page.uncheck("#column-choices input[value=accuracy]")
    assert page.locator("th[data-column=accuracy]").count() == 0
    shown = [float(text) for text in column(page, "validation_loss") if text != "–"]
    assert shown == list(values["validation_loss"].dropna())


def test_row_opens_details_by_keyboard(visit, report, values):
    page = visit(report)
    button = page.locator("tr[data-run] th button").first
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    details = page.locator("tr.details")
    terms = dict(
        zip(
            details.locator("dt").all_inner_texts(),
            details.locator("dd").all_inner_texts(),
            strict=True,
        )
    )
    assert terms["data.family"] == values["data.family"][0]
    assert float(terms["accuracy"]) == values["accuracy"][0]
    assert "evaluation.labels" in terms
    curve = details.locator(".js-plotly-plot")
    drawn = curve.evaluate("plot => plot.data.find(trace => trace.name === 'accuracy')")
    assert list(drawn["x"]) == list(synthetic_records.STEPS)
    assert drawn["y"][-1] == values["accuracy"][0]
    assert details.locator("circle").count() == 9
    page.keyboard.press("Enter")
    assert page.locator("tr.details").count() == 0


def test_scatter_shows_any_columns_and_names_runs(visit, report, values):
    page = visit(report)
    page.wait_for_selector("#scatter .point")
    page.select_option("#x", "seconds")
    page.select_option("#y", "validation_loss")
    page.select_option("#colour", "data.family")
    page.check("#y-log")
    plot = page.locator("#scatter")
    assert plot.evaluate("plot => plot.layout.yaxis.type") == "log"
    drawn = plot.evaluate("plot => plot.data.flatMap(trace => Array.from(trace.y))")
    has_both = values[["seconds", "validation_loss"]].notna().all(axis=1)
    assert sorted(drawn) == sorted(values["validation_loss"][has_both])
    assert "3 runs have no value" in page.inner_text("#scatter-note")

    point = page.locator("#scatter .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + 40)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#scatter .hovertext")
    hover = page.locator("#scatter .hovertext").text_content()
    assert any(name in hover for name in values["name"])


def test_filter_applies_to_charts_and_click_opens_run(visit, report, values):
    page = visit(report)
    page.wait_for_selector("#scatter .point")
    type_filter(page, "family=bump sigma=2 seed=1")
    plot = page.locator("#scatter")
    drawn = plot.evaluate("plot => plot.data.flatMap(trace => Array.from(trace.customdata))")
    (run,) = drawn
    point = page.locator("#scatter .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("tr.details")
    opened = page.locator("tr[data-run]:has(button[aria-expanded=true]) th")
    assert opened.inner_text() == values["name"][run] == "bump σ2.0 s1"


def test_parallel_coordinates_of_chosen_columns(visit, report, values):
    page = visit(report)
    page.locator("#parallel").scroll_into_view_if_needed()
    page.wait_for_selector("#parallel .parcoords")
    labels = "plot => plot.data[0].dimensions.map(axis => axis.label)"
    plot = page.locator("#parallel")
    assert plot.evaluate(labels) == ["family", "sigma", "seed", "accuracy"]
    page.click(".menu:has(#parallel-choices) summary")
    page.check("#parallel-choices input[value=error_pixels]")
    page.uncheck("#parallel-choices input[value=seed]")
    assert plot.evaluate(labels) == ["family", "sigma", "accuracy", "error_pixels"]
    errors = plot.evaluate("plot => Array.from(plot.data[0].dimensions[3].values)")
    assert errors == list(values["error_pixels"].dropna())


def test_views_can_be_chosen_and_rotated(visit, report):
    page = visit(report)
    page.locator("#view").scroll_into_view_if_needed()
    page.wait_for_selector("#view canvas")
    plot = page.locator("#view")
    assert page.locator("#view-run option").count() == 15
    buttons = page.locator(".modebar-btn").evaluate_all("all => all.map(b => b.dataset.title)")
    assert "Download plot as a PNG" in buttons
    assert not any("Share" in title for title in buttons)  # plotly would upload the chart
    assert page.locator("#view-step option").all_inner_texts() == list(
        map(str, synthetic_records.STEPS)
    )
    assert page.input_value("#view-step") == str(synthetic_records.STEPS[-1])
    points = (
        "plot => [plot.data[0].x, plot.data[0].y, plot.data[0].z].map(axis => Array.from(axis))"
    )
    page.select_option("#view-kind", "scores")
    page.select_option("#view-step", "4")
    x, y, _ = plot.evaluate(points)
    labels = plot.evaluate("plot => plot.data[0].customdata")
    assert len(labels) == 36
    for label, first, second in zip(labels, x, y, strict=True):
        assert first == pytest.approx(4 * label[0], abs=1e-3)
        assert second == pytest.approx(label[1], abs=1e-3)
    eye = "plot => plot._fullLayout.scene._scene.getCamera().eye"  # as it is drawn
    before = plot.evaluate(eye)
    page.click("[data-turn=left]")
    page.wait_for_timeout(200)
    after = plot.evaluate(eye)
    assert after["z"] == pytest.approx(before["z"])
    assert after["x"] != pytest.approx(before["x"])
    plot.evaluate("plot => plot.scrollIntoView({block: 'center', behavior: 'instant'})")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    for at in range(6):  # the view turns when it is drawn, not at every event
        page.mouse.move(box["x"] + 300 + 20 * at, box["y"] + 200 + 8 * at)
        page.wait_for_timeout(60)
    page.mouse.up()
    page.wait_for_function(
        "x => Math.abs(document.querySelector('#view')._fullLayout.scene._scene.getCamera().eye.x"
        " - x) > 0.01",
        arg=after["x"],
    )
    page.wait_for_timeout(800)  # it comes to rest
    turned = plot.evaluate(eye)
    distance = [sum(turned[axis] ** 2 for axis in "xyz"), sum(after[axis] ** 2 for axis in "xyz")]
    assert distance[0] == pytest.approx(distance[1])  # it turns, and does not come nearer
    page.select_option("#view-step", "2")
    page.wait_for_timeout(300)
    assert plot.evaluate(eye) == pytest.approx(turned)  # another step is seen from the same side
