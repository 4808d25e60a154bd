"""The archives of docs/results/records: whole, readable, and what the pages say."""

import re
import tarfile
from pathlib import Path

import pytest

from analysis import findings
from sweeps.planning import saved_plans
from sweeps.reporting import reports

RESULTS = Path(__file__).parents[2] / "docs" / "results"
ARCHIVES = sorted((RESULTS / "records").glob("*.tar.xz"))


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name)
def published(request, tmp_path_factory):
    """The experiment of an archive and its plan, unpacked."""
    runs = tmp_path_factory.mktemp("published")
    with tarfile.open(request.param) as archive:
        archive.extractall(runs, filter="data")
    name, profile = request.param.name.removesuffix(".tar.xz").rsplit("-", 1)
    return name, saved_plans.find(runs, name, profile)


def test_archive_holds_what_its_table_says(published):
    name, plan = published
    page = (RESULTS / "records" / "README.md").read_text()
    row = next(line for line in page.splitlines() if f"| `{name}-{plan.profile}.tar.xz`" in line)
    done = plan.state().counts()["done"]
    assert re.search(rf"\b{done}\b", row)
    assert ("complete" in row) == (done == len(plan.trials) and plan.search is None)


def test_records_of_an_archive_are_intact(published):
    _, plan = published
    assert not plan.state().select("damaged", "unreadable", "failed")
    for trial in plan.state().select("done"):  # this checks the sums of result and journal
        assert plan.record(trial).config()["key"] == trial.key


def test_page_has_the_verdicts_of_its_archive(published):
    name, plan = published
    page = (RESULTS / f"{name}.md").read_text()
    if f"records/{name}-{plan.profile}.tar.xz" not in page:
        pytest.skip("the page is that of another run")
    judged = findings.judge(name, reports.evaluations(plan))
    bold = [re.sub(r"\s+", " ", text) for text in re.findall(r"\*\*(.+?)\*\*", page, re.S)]
    verdicts = [text.rsplit(": ", 1)[1] for text in bold if ": " in text]
    assert len(verdicts) == len(judged)
    for said, (_, outcome) in zip(verdicts, judged, strict=True):
        assert said.startswith(outcome.verdict), (said, outcome.verdict)
