"""A headless Chromium, and pages that record their errors and requests."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from sweeps.reporting.html_report import page as html_report
from tests.sweeps.reporting import synthetic_records

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
"""A text that takes over a page which shows it as HTML."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def executable(playwright: Playwright) -> str:
    """Return the path of the system's Chromium, or of the one that playwright installs."""
    return next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium: the system's, or the one that playwright has installed."""
    with sync_playwright() as playwright:
        found = executable(playwright)
        if not Path(found).exists():
            pytest.skip("no Chromium is installed, neither the system's nor playwright's")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page, with what it wrote to the console and what it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def visit(chromium: Browser):
    """Open a file in a window of a given size; the page has no error and asks for nothing else."""
    opened: list[Visit] = []

    def open_file(path, *, width=1280, height=900, scheme="light", motion="no-preference"):
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion=motion,
        )
        found = Visit(context.new_page())
        opened.append(found)
        found.page.on(
            "console",
            lambda message: message.type == "error" and found.errors.append(message.text),
        )
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(path.as_uri())
        return found.page

    yield open_file
    for found in opened:
        assert found.errors == []
        outside = [url for url in found.requests if not url.startswith(("data:", "blob:"))]
        assert len(outside) == 1, outside  # the file itself
        found.page.context.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A report of 18 runs: 15 done, one failed, one not finished, one new."""
    folder = tmp_path_factory.mktemp("report")
    made = synthetic_records.make_plan(folder, figures=[])
    for trial in made.trials[:15]:
        synthetic_records.write_run(made, trial, measured=True)
    synthetic_records.write_evaluations(made, made.trials[15]).write_failure(HOSTILE, 6)
    synthetic_records.write_evaluations(made, made.trials[16], steps=(2,))
    made = made.model_copy(update={"descriptions": [f"Why: {HOSTILE}"]})
    failed = []
    path = html_report.write(made, folder / "figures", failed)
    assert failed == []
    return path
