"""The HTML report, from the records of real and of synthetic trials; see also tests/browser."""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from contextlib import suppress
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import training_dynamics
from factorlab.errors import TrialFailed, UserError
from factorlab.trial import Trial
from sweeps.planning import command, overrides, plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.planning.search import picked
from sweeps.reporting import reports
from sweeps.reporting.html_report import figures, page, representations, samples
from sweeps.reporting.html_report.columns import rounded
from sweeps.reporting.html_report.runs import read_runs
from tests.helpers.experiments import write_experiment
from tests.sweeps.reporting import synthetic_records


class Sections(HTMLParser):
    """The sections, texts, figures and scripts of a page."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.images, self.texts, self.policy = [], [], [], ""
        self._raw = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self._raw = tag in ("script", "style")
        if tag == "section":
            self.sections.append(found["id"])
        if tag == "img":
            self.images.append(found)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]

    def handle_endtag(self, tag):
        self._raw = False

    def handle_data(self, data):
        if not self._raw:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def read(path):
    return Sections(path.read_text())


def data_of(path):
    """Return the data of a page; columns by name, with a value for every run."""
    found = json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.S)[1])
    for column in found["columns"]:
        column["values"] *= found["runs"] if len(column["values"]) == 1 else 1
    return found | {"columns": {column["id"]: column for column in found["columns"]}}


def written(made, folder, **options):
    """Write a report that must not have failures, and return its path."""
    failed = []
    path = page.write(made, folder, failed, **options)
    assert failed == []
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A sweep of three trials: one is done and measured, one has failed, one is new."""
    folder = tmp_path_factory.mktemp("trained")
    file = write_experiment(
        folder / "kept.yaml",
        axes={"training.learning_rate": [1e-3, 1e30, 1e-4]},
        figures=[{"name": name, "draw": name} for name in ("curves", "samples")],
        evaluation={"at": [0, 3], "keep": 2},
        representations={"layers": ["layer4"], "grid": 6},
    )
    made = plan.make(load(str(file)), folder / "runs")
    saved_plans.save(made)
    for trial in made.trials[:2]:
        with suppress(TrialFailed):
            list(Trial(trial.run, folder / "runs").run())
    list(training_dynamics.analyse(made.record(made.trials[0]), "layer4"))
    return made, folder


@pytest.fixture(scope="module")
def report(trained):
    made, folder = trained
    return written(made, folder / "figures")


def test_write_shows_each_run_as_in_its_record(trained, report):
    made, _ = trained
    data, result = data_of(report), made.record(made.trials[0]).result()
    assert report.name == "report-default.html"
    assert data["columns"]["state"]["values"] == ["done", "failed", "new"]
    for name, value in result["metrics"].items():
        assert data["columns"][name]["values"][0] == pytest.approx(value, rel=1e-4)
    total = sum(result["seconds"].values())
    assert data["columns"]["seconds"]["values"] == [pytest.approx(total, rel=1e-4), None, None]
    assert data["columns"]["training.learning_rate"]["values"] == [1e-3, 1e30, 1e-4]
    assert data["curves"][0]["step"] == [0, 3, 6]
    assert data["curves"][0]["accuracy"][-1] == pytest.approx(result["metrics"]["accuracy"])
    assert data["reasons"][0] is data["reasons"][2] is None


def test_write_shows_provenance_failures_and_figures(trained, report):
    made, folder = trained
    found, result = read(report), made.record(made.trials[0]).result()
    assert found.sections == [
        *("figures", "runs", "compare", "representations", "failures", "origin")
    ]
    assert made.record(made.trials[1]).failure() in found.text
    assert result["code"][-1]["sources_sha256"] in found.text
    assert result["versions"]["torch"] in found.text
    assert command.command_of(made) in found.text
    pictures = [image["src"] for image in found.images]
    files = [folder / f"figures/kept/{name}-default.png" for name in ("curves", "samples")]
    assert [base64.b64decode(one.partition(",")[2]) for one in pictures] == [
        file.read_bytes() for file in files
    ]
    assert all(image["alt"] for image in found.images)


def test_write_draws_only_outdated_figures(trained, report):
    made, folder = trained
    first, second = (folder / f"figures/kept/{name}-default.png" for name in ("curves", "samples"))
    times = [path.stat().st_mtime_ns for path in (first, second)]
    written(made, folder / "figures")
    assert [path.stat().st_mtime_ns for path in (first, second)] == times
    os.utime(first, (0, 0))
    written(made, folder / "figures")
    assert first.stat().st_mtime > 0
    assert second.stat().st_mtime_ns == times[1]


def test_write_samples_are_those_of_the_record(trained, report):
    made, _ = trained
    picture, kept = data_of(report)["pictures"][0], made.record(made.trials[0]).read_samples(6)
    content = base64.b64decode(picture["image"].partition(",")[2])
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(image[:6, :12], np.hstack(list(kept["images"])))
    assert np.allclose(picture["labels"], kept["labels"], atol=0.006)


def test_write_views_are_those_of_the_record(trained, report):
    from analysis.measures import measurement_cache  # noqa: PLC0415

    made, _ = trained
    views = data_of(report)["views"]
    assert [view["step"] for view in views["items"]] == [6, 0, 3]
    for view in views["items"]:
        kept = measurement_cache.read(made.record(made.trials[0]).path, view["layer"], view["step"])
        for name, points in (("scores", kept.scores[:, :3]), ("embedding", kept.embedding)):
            raw = np.frombuffer(base64.b64decode(view[name]["points"]), "<u2").reshape(-1, 3)
            low, high = np.array(view[name]["ends"]).T
            extent = np.ptp(points, axis=0).max()
            assert np.allclose(low + raw / 65535 * (high - low), points, atol=1e-3 * extent)
        assert np.allclose(views["labels"][view["labels"]], kept.labels, atol=0.006)


def test_write_from_archive_is_the_same(trained, report, tmp_path):
    made, folder = trained
    reports.export(made, folder / "kept.tar.xz")
    with tarfile.open(folder / "kept.tar.xz") as archive:
        archive.extractall(tmp_path / "runs", filter="data")
    again = written(saved_plans.find(tmp_path / "runs", "kept"), tmp_path / "figures")
    assert data_of(again) == data_of(report)
    assert read(again).sections == read(report).sections


def test_write_of_sweep_without_trained_runs_leaves_out_sections(trained, tmp_path):
    made, _ = trained
    path = written(made.model_copy(update={"runs": tmp_path}), tmp_path / "figures")
    assert read(path).sections == ["runs", "compare", "origin"]
    assert data_of(path)["columns"]["state"]["values"] == ["new"] * 3
    assert "0 of 3 trials are done." in read(path).text


def test_write_reports_failing_figure_and_writes_the_rest(trained, tmp_path):
    made, _ = trained
    entries = [load(made.source).figures[0].model_copy(update={"draw": "percolation"})]
    failed = []
    path = page.write(made.model_copy(update={"figures": entries}), tmp_path, failed)
    (one,) = failed
    assert one.what == "figure 'curves'"
    assert f"Not drawn: {one.reason}" in read(path).text
    assert read(path).images == []


def test_write_refuses_unwritable_file(trained, tmp_path):
    made, _ = trained
    (tmp_path / "afile").touch()
    with pytest.raises(UserError, match=r"afile/out.html: cannot be written"):
        page.write(made, tmp_path, [], output=tmp_path / "afile" / "out.html", drawn=[])


def test_write_judges_findings_like_the_replication_report(tmp_path):
    made = plan.make(load("holes", "smoke"), tmp_path / "runs")
    saved_plans.save(made)
    for trial in made.trials:
        synthetic_records.write_run(made, trial, steps=(30, 60))
    failed = []
    found = read(page.write(made, tmp_path, failed, drawn=[]))
    from analysis import findings  # noqa: PLC0415

    assert found.sections[0] == "findings"
    for claim, outcome in findings.judge("holes", reports.evaluations(made)):
        for text in (claim.text, claim.rule, claim.null, outcome.verdict, outcome.numbers):
            assert " ".join(text.split()) in found.text
    assert "The full pipeline, from training to figures" in found.text
    assert failed == []


def test_write_shows_crossings_of_threshold_search(tmp_path):
    file = write_experiment(
        tmp_path / "crossing.yaml",
        axes={"data.subsample": {"loguniform": [0.1, 1.0]}, "seed": [0, 1]},
        search={"threshold": {"level": 0.6}, "runs": 4},
        figures=[],
    )
    made = plan.make(load(str(file)), tmp_path / "runs")
    saved_plans.save(made)
    for share in (0.1, 0.5):
        point = {"data.subsample": share, "seed": 0}
        picked.append(made, point, made.at(point))
    made = saved_plans.find(tmp_path / "runs", "crossing")
    for trial in made.trials:
        synthetic_records.write_run(made, trial)
    found = read(written(made, tmp_path))
    assert "The search 'threshold' has picked 2 of at most 4 runs." in found.text
    assert "60 %" in found.text
    assert found.sections[0] == "search"


def test_policy_allows_no_network_and_only_own_scripts(report):
    found, text = read(report), report.read_text()
    assert found.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "'unsafe-inline'" not in found.policy.partition("style-src")[0]
    addresses = re.findall(r"(?:src|href)=\"(?!#|data:)([^\"]*)\"", text.partition("<script>")[0])
    assert addresses == []


def test_budgets_hold_and_say_what_is_left_out(tmp_path):
    made = synthetic_records.make_plan(tmp_path, figures=[])
    for trial in made.trials:
        synthetic_records.write_run(made, trial, measured=True, kept=25)
    runs = read_runs(made)
    everything = samples.pictures_of(runs)
    assert everything.left_out == 0
    sizes = [len(base64.b64decode(p["image"].partition(",")[2])) for p in everything.by_run]
    some = samples.pictures_of(runs, sum(sizes) // 4)
    kept = [one for one in some.by_run if one is not None]
    assert some.left_out + len(kept) == len(runs)
    assert sum(len(base64.b64decode(p["image"].partition(",")[2])) for p in kept) <= sum(sizes) / 4
    assert {one["side"] for one in kept} < {3, 4, 5}
    views = representations.views_of(runs)
    assert (len(views.items), views.left_out) == (3 * len(runs), 0)
    few = representations.views_of(runs, 5 * 36 * 3 * 2 * 2)
    assert (len(few.items), few.left_out) == (5, 3 * len(runs) - 5)
    assert {view["step"] for view in few.items} == {synthetic_records.STEPS[-1]}


def test_figures_beyond_budget_are_smaller_or_left_out(trained, report):
    made, folder = trained
    runs, full = read_runs(made), (folder / "figures/kept/curves-default.png").stat().st_size
    shown, _ = figures.figures_of(made, runs, folder / "figures", [], budget=full)
    assert shown[0].source.startswith("data:image/webp")
    assert "Smaller here" in shown[0].note
    assert sum(len(one.source or "") * 3 / 4 for one in shown) <= full * 1.01
    none, _ = figures.figures_of(made, runs, folder / "figures", [], budget=100)
    assert [one.source for one in none] == [None, None]
    assert "Too large" in none[0].note


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=20)
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=5), PLAIN)
KEYS = st.from_regex(r"\A(axes\.)?[a-z_]{1,8}(\.[a-z_]{1,8}){0,2}\Z")


@given(given=st.dictionaries(KEYS, VALUES, max_size=4), source=st.text(min_size=1, max_size=20))
def test_command_repeats_overrides_exactly(trained, given, source):
    made, _ = trained
    asked = made.model_copy(update={"overrides": given, "file": source, "profile": "laptop"})
    words = shlex.split(command.command_of(asked))
    assert words[:5] == ["factorlab", "sweep", source, "--profile", "laptop"]
    assert words[5::2] == ["--set"] * len(given)
    assert overrides.parse_overrides(words[6::2]) == given


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_rounded_numbers_are_json_and_close(number):
    value = rounded(number)
    if value is None:
        assert not np.isfinite(number)
    else:
        assert json.loads(json.dumps(value, allow_nan=False)) == pytest.approx(number, rel=1e-4)


def test_mosaic_places_images_in_rows():
    images = np.arange(5, dtype=np.uint8).repeat(4).reshape(5, 2, 2)
    placed = samples.mosaic(images, 3)
    assert placed[::2, ::2].tolist() == [[0, 1, 2], [3, 4, 255]]
    assert np.array_equal(placed, placed[::2, ::2].repeat(2, 0).repeat(2, 1))


def test_report_command_needs_neither_ray_nor_torch(trained, report):
    made, folder = trained
    script = (
        "import sys; from sweeps.cli.main import app; "
        "app(sys.argv[1:], standalone_mode=False); "
        'sys.exit(f\'imported: {sorted({"ray", "torch", "mlflow"} & set(sys.modules))}\')'
    )
    options = ["--runs", str(made.runs), "--figures", str(folder / "figures")]
    ended = subprocess.run(
        [sys.executable, "-c", script, "report", "kept", *options, "--output", "out.html"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.strip() == "out.html"
    assert ended.stderr.splitlines()[-1:] == ["imported: []"]
    assert data_of(folder / "out.html") == data_of(report)
