"""The replication report, from the records of real trials."""

import dataclasses

import pytest

from analysis import findings as known
from factorlab.errors import UserError
from factorlab.trial import Trial
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.reporting import replication_report, reports

NAMES = ("interpolation", "holes", "torus")
TINY = {
    "model": {"width": 4, "encoding": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 2},
    "training": {"steps": 4, "batch_size": 4},
    "evaluation": {"samples": 16, "loss_samples": 4},
    "representations": {"layers": []},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A sweep that is half done, and two that are only planned."""
    runs = tmp_path_factory.mktemp("page")
    for name in NAMES:
        # Without overrides the sweep is named after the profile.
        tiny = dataclasses.replace(load(name, "smoke", TINY), overrides={})
        made = plan.make(tiny, runs)
        saved_plans.save(made)
        if name == "interpolation":
            list(Trial(made.trials[0].run, runs).run())
    return runs


def test_write_lists_every_claim_with_its_rule(runs, tmp_path):
    failed = []
    path = replication_report.write(runs, tmp_path / "figures", "smoke", failed)
    page = path.read_text()
    assert failed == []
    assert path.name == "findings-smoke.md"
    for name in NAMES:
        for claim in known.load(name).CLAIMS:
            row = next(line for line in page.splitlines() if line.startswith(f"| {claim.text}"))
            assert row.replace(r"\|", "").count("|") == 7
            assert claim.null in row
            assert claim.rule in row
    tallies = (
        "Stated by the papers: 7 not measured. Our own readings and questions: 5 not measured."
    )
    assert tallies in page
    assert "1 of 2 trials are done" in page
    assert "0 of 2 trials are done." in page


def test_write_links_drawn_figures(runs, tmp_path):
    reports.draw(saved_plans.find(runs, "interpolation"), tmp_path)
    page = replication_report.write(runs, tmp_path, "smoke", []).read_text()
    links = [line.split("(")[1].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert links
    assert all((tmp_path / link).exists() for link in links)


def test_write_reports_failing_claim_and_continues(runs, tmp_path, monkeypatch):
    def broken(_table):
        raise ZeroDivisionError("of ours")

    module = known.load("interpolation")
    first, *others = module.CLAIMS
    monkeypatch.setattr(module, "CLAIMS", [dataclasses.replace(first, measure=broken), *others])
    failed = []
    page = replication_report.write(runs, tmp_path, "smoke", failed).read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| {first.text}"))
    assert "| **not judged** | The rule failed: ZeroDivisionError. |" in row
    assert all(claim.text in page for name in NAMES for claim in known.load(name).CLAIMS)
    (one,) = failed
    assert one.line() == (
        f"interpolation_smoke: finding '{first.text}': ZeroDivisionError: of ours"
    )
    assert 'raise ZeroDivisionError("of ours")' in one.trace


def test_write_reports_failing_experiment_and_continues(runs, tmp_path, monkeypatch):
    table = reports.evaluations

    def broken(plan):
        if plan.experiment == "interpolation":
            raise KeyError("of ours")
        return table(plan)

    monkeypatch.setattr(reports, "evaluations", broken)
    failed = []
    page = replication_report.write(runs, tmp_path, "smoke", failed).read_text()
    assert "## interpolation\n\nNot judged" in page
    assert [one.what for one in failed] == ["interpolation_smoke: findings"]
    assert all(f"## {name}\n" in page for name in NAMES)


def test_check_refuses_experiments_without_findings(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\naxes: {seed: [0]}\n")
    with pytest.raises(UserError, match=r"'mine'; allowed: atlas, composition"):
        replication_report.check([load(str(file))])
