"""How long a store of a thousand runs takes to fill, to list, to open and to compare.

The records are synthetic: the code of real runs writes them, without training. The MLflow UI and
the HTML report are opened in a headless Chromium. What a page shows is waited for, not its network.

    python -m tests.benchmarks.browsing --runs 1000 --points 200
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import mlflow
from playwright.sync_api import Browser, Page, sync_playwright

import factorlab.api as fl
from sweeps.planning.plan import Plan
from sweeps.reporting.html_report import page as html_report
from sweeps.tracking.plan_sync import mlflow_sync_of
from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.browser.conftest import executable
from tests.browser.ui_server import served
from tests.sweeps.reporting import synthetic_records

REPEATS = 5
"""Times that each page is opened, in a browser without a cache; the median counts."""

WAIT = 120_000
"""Longest wait for a page, in milliseconds."""

CARD = "[data-testid='experiment-view-compare-runs-card']"


class Stopwatch:
    """Seconds by what they were measured for."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure a block."""
        begin = time.perf_counter()
        yield
        self.seconds.setdefault(name, []).append(time.perf_counter() - begin)


def fill(folder: Path, runs: int, points: int) -> Plan:
    """Write the records of a sweep of finished runs."""
    seeds = list(range(runs // 10))
    axes = {"data.sigma": [0.5, 1.0], "data.subsample": [0.2, 0.4, 0.6, 0.8, 1.0], "seed": seeds}
    made = synthetic_records.make_plan(
        folder, axes=axes, figures=[], representations={}, training={"steps": 10 * points}
    )
    for trial in made.trials:
        steps = tuple(range(10, 10 * points + 1, 10))
        synthetic_records.write_run(made, trial, steps=steps, kept=4)
    return made


@contextmanager
def fresh(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has never seen the address."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    yield page
    context.close()


def browse(browser: Browser, address: str, name: str, watch: Stopwatch) -> None:
    """Open the UI: the list, a run, and the curves of the runs that it shows at first."""
    with fresh(browser) as page:
        with watch.of("UI: list of runs"):
            page.goto(address)
            page.get_by_role("link", name=name, exact=True).wait_for()
        with watch.of("UI: open a run"):
            page.get_by_role("link", name=name, exact=True).click()
            page.get_by_text("validation_loss").first.wait_for()
    with fresh(browser) as page:
        page.goto(address)
        page.get_by_role("link", name=name, exact=True).wait_for()
        with watch.of("UI: curves of ten runs"):
            page.locator("label:has(input[value=CHART])").click()
            chart = page.locator(CARD, has_text="accuracy").first
            chart.locator("svg .scatterlayer .trace").nth(9).wait_for()


def read(browser: Browser, path: Path, watch: Stopwatch) -> None:
    """Open the report: its table, and its first chart."""
    with fresh(browser) as page:
        begin = time.perf_counter()
        page.goto(path.as_uri(), wait_until="commit")
        page.locator("tr[data-run]").first.wait_for()
        watch.seconds.setdefault("report: table", []).append(time.perf_counter() - begin)
        with watch.of("report: first chart, scrolled to"):
            page.locator("#scatter").scroll_into_view_if_needed()
            page.locator("#scatter .plot-container").wait_for()


def ask(uri: str, experiment: str, watch: Stopwatch) -> None:
    """Ask the store what scripts ask it."""
    client = mlflow.MlflowClient(uri)
    number = client.get_experiment_by_name(experiment).experiment_id
    with watch.of("client: list all runs"):
        found = client.search_runs([number], max_results=50_000)
    with watch.of("client: history of a metric of ten runs"):
        for run in found[:10]:
            client.get_metric_history(run.info.run_id, "accuracy")
    with watch.of("fl.load from the store"):
        fl.load(experiment, tracking_uri=uri)


def measure(runs: int, points: int) -> list[Measurement]:
    """Fill a store, and open it in every way."""
    watch, timed = Stopwatch(), Stopwatch()
    with tempfile.TemporaryDirectory(prefix="browsing-") as name:
        folder = Path(name)
        made = fill(folder, runs, points)
        with timed.of("sync"):
            mlflow_sync_of(made).sync()
        with timed.of("sync again"):
            mlflow_sync_of(made).sync()
        with timed.of("write the report"):
            report = html_report.write(made, folder / "figures", [])
        assert report is not None
        with sync_playwright() as playwright:
            path = executable(playwright)
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            with served(folder) as (port, _):
                for _ in range(REPEATS):
                    browse(browser, f"http://127.0.0.1:{port}/", made.trials[-1].name, watch)
            for _ in range(REPEATS):
                read(browser, report, watch)
            browser.close()
        store = folder / "runs" / "mlflow.db"
        for _ in range(REPEATS):
            ask(f"sqlite:///{store}", "made", watch)
        sizes = {"store": store.stat().st_size / 1e6, "report": report.stat().st_size / 1e6}
    case = f"{runs} runs of {points} points"
    return [
        *(Measurement(f"{case}: {what}", "size", size, "MB") for what, size in sizes.items()),
        *(
            Measurement(f"{case}: {what}", "median", median(seconds), "s", "lower")
            for what, seconds in (*timed.seconds.items(), *watch.seconds.items())
        ),
        *(
            Measurement(f"{case}: {what}", "slowest", max(seconds), "s")
            for what, seconds in watch.seconds.items()
        ),
    ]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    given = parser.parse_args()
    publish("browsing", "headless Chromium", measure(given.runs, given.points), given.history)


if __name__ == "__main__":
    main()
