"""The MLflow UI of `factorlab ui` in a browser: where it starts, and what one click shows."""

import pytest

from factorlab.trial import Trial
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.tracking.plan_sync import mlflow_sync_of
from tests.browser.ui_server import served
from tests.helpers.experiments import write_experiment

SLOW = 60_000  # milliseconds; the page is large


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The address of a UI with a sweep of two finished runs."""
    folder = tmp_path_factory.mktemp("ui")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = write_experiment(
        folder / "shown.yaml",
        axes={"data.subsample": [0.5, 1.0], "seed": [0]},
        training={"steps": 20, "log_every": 5},
        evaluation={"samples": 4, "loss_samples": 4, "keep": 4, "every": 10},
    )
    made = plan.make(load(str(path)), folder / "runs")
    saved_plans.save(made)
    for trial in made.trials:
        list(Trial(trial.run, made.runs).run())
    mlflow_sync_of(made).sync()
    with served(folder) as (port, _):
        yield f"http://127.0.0.1:{port}/"
    monkeypatch.undo()


@pytest.fixture
def page(chromium, shown):
    """A page of a browser that has never seen the UI, and the addresses that it asked for."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(SLOW)
    asked = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(shown)
    yield opened
    context.close()
    outside = [u for u in asked if not u.startswith((shown, "data:", "blob:"))]
    assert outside == []


def test_ui_starts_at_the_sweep_with_its_trials(page):
    page.get_by_role("link", name="shown_default").wait_for()
    for name in ("λ.5 s0", "λ1.0 s0"):
        page.get_by_role("link", name=name).wait_for()
    heads = page.locator("[role=columnheader]").all_inner_texts()
    assert {"data.subsample", "seed", "accuracy", "Dataset"} <= set(heads)
    assert page.get_by_text("Model training", exact=True).is_visible()
    for unwanted in ("MLflow Assistant", "New to MLflow?"):
        assert not page.get_by_text(unwanted).first.is_visible()
    assert page.locator("[data-assistant-ui]:visible").count() == 0


def test_ui_overlays_the_curves_of_both_runs(page):
    page.get_by_role("link", name="λ.5 s0").wait_for()
    page.locator("label:has(input[value=CHART])").click()
    chart = page.locator("[data-testid='experiment-view-compare-runs-card']", has_text="loss").first
    chart.locator("svg .scatterlayer .trace").nth(1).wait_for()
    assert chart.locator("svg .scatterlayer .trace").count() >= 2


def test_ui_shows_a_sample_grid_of_a_run(page):
    page.get_by_role("link", name="λ1.0 s0").click()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("samples", exact=True).click()
    page.get_by_text("step-0000000020.png").first.click()
    picture = page.locator("img[src^='blob:'], img[src*='get-artifact']").first
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 20


def test_ui_keeps_what_the_user_has_chosen(page, shown):
    page.get_by_role("link", name="λ.5 s0").wait_for()
    page.evaluate("localStorage.setItem('mlflow.workflowType_v1', '\"genai\"')")
    page.goto(f"{shown}?again")
    page.wait_for_load_state()
    assert page.evaluate("localStorage.getItem('mlflow.workflowType_v1')") == '"genai"'
